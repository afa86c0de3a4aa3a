"""Values that describe a step, and warnings where the S-IB terms have no effect in it."""

from typing import Any

import torch
from torch import Tensor

from sib import distributed
from sib.functional.label_kinds import MULTI, SINGLE, LabelKind
from sib.objectives.gradient_sums import GradientSums
from sib.tasks.output import StepOutput
from sib.tasks.task import Task


def describe_step(out: StepOutput, labels: Tensor, kind: LabelKind = SINGLE) -> dict[str, Tensor]:
    """Losses, accuracy, the terms as ``terms.NAME``, and the diagnostics of R and M.

    Where an image has several labels, accuracy is the share of images whose whole set is right.
    """
    decided = kind.decided(kind.class_logits(out.logits))
    if kind is MULTI:
        correct = (decided == (labels > 0.5)).all(dim=1)
    else:
        targets = labels.argmax(dim=1) if labels.ndim == 2 else labels
        correct = decided.gather(1, targets[:, None])
    values = {
        "loss": out.loss,
        "cross_entropy": out.cross_entropy,
        "accuracy": correct.float().mean(),
    }
    if out.terms is None:
        return values
    terms = {f"terms.{name}": value for name, value in out.terms.values.items()}
    return values | terms | out.diagnostics


def term_weights(task: Task) -> dict[str, Any]:
    """``weights``: each term's current weight; empty without an objective."""
    if task.objective is None:
        return {}
    found = task.objective.weights()
    return {"weights": {name: float(weight) for name, weight in found.items()}}


class GradientRatios:
    """Norm of each term's gradient over that of cross-entropy's, over all parameters.

    Costs about one backward pass per term and micro-batch.

    Args:
        task: holds the parameters. The factor by which its terms count for steps without terms is
            divided out.
    """

    def __init__(self, task: Task) -> None:
        self.every_n_steps = task.every_n_steps
        self.gradients = GradientSums(task.model.parameters())
        self.names: list[str] = []

    def add(self, out: StepOutput) -> None:
        """Add the gradients of one micro-batch. The graph is kept, so that the step can follow."""
        self.names = list(out.weighted_terms)
        self.gradients.add([out.cross_entropy, *out.weighted_terms.values()])

    def values(self) -> dict[str, float]:
        """Ratios for the gradients added so far, over all processes.

        Returns:
            ``gradient_ratio`` of all terms together, and ``NAME_gradient_ratio`` of each.
        """
        cross_entropy, *own = (distributed.all_reduce_sum(each) for each in self.gradients.sums)
        names = ["", *(f"{name}_" for name in self.names)]
        norms = torch.stack([each.norm() for each in (torch.stack(own).sum(0), *own)])
        ratios = (norms / self.every_n_steps / cross_entropy.norm()).tolist()
        return {f"{name}gradient_ratio": ratio for name, ratio in zip(names, ratios, strict=True)}


INERT, DOMINANT = 1e-3, 1.0
"""A run is warned where the terms' gradient norm over cross-entropy's is outside this range."""
COLLAPSED = 1e-3
"""R counts as collapsed where mean |R|, over its largest epoch so far, is below this."""


ADVICE = {
    "published": "--objective.background-weight, or take --objective calibrated",
    "calibrated": "--objective.image-weight, --objective.layer-weight and --objective.stage-weight",
}
"""What to change, by objective."""


class TermMonitor:
    """Find what a person should change about a run in the records of its epochs, in plain words.

    Args:
        largest_scale: largest mean |R| of earlier epochs, for a run that continues.
        objective: ``"published"`` or ``"calibrated"``; the advice names its options.
    """

    def __init__(self, largest_scale: float = 0.0, objective: str = "published") -> None:
        self.largest_scale, self._advice = largest_scale, ADVICE[objective]
        self._said: set[str] = set()

    def check(self, record: dict[str, Any]) -> dict[str, str]:
        """Warnings of one epoch by kind: ``"inert"``, ``"dominant"``, ``"collapsed"``."""
        found: dict[str, str] = {}
        if "reconstruction_scale" not in record:  # another method
            return found
        ratio = record.get("gradient_ratio")
        if ratio is not None and ratio < INERT:
            found["inert"] = (
                f"the S-IB terms are inert: their gradient is {ratio:.1e} of cross-entropy's, so "
                f"this trains a plain classifier; raise {self._advice}"
            )
        if ratio is not None and not ratio <= DOMINANT:
            found["dominant"] = (
                f"the S-IB terms dominate: their gradient is {ratio:.3g} times cross-entropy's; if "
                f"that lasts, accuracy suffers: lower {self._advice}"
            )
        scale = record["reconstruction_scale"]
        if scale < COLLAPSED * self.largest_scale:
            found["collapsed"] = (
                f"R has collapsed: the mean of |R| is {scale:.1e}, after {self.largest_scale:.1e} "
                "in an earlier epoch, so the terms see next to nothing; either the network is "
                f"certain of every image (training accuracy {record['accuracy']:.3f}), or the "
                f"terms made R small: lower {self._advice}"
            )
        self.largest_scale = max(self.largest_scale, scale)
        return found

    def unseen(self, found: dict[str, str]) -> list[str]:
        """The warnings whose kind was not reported before."""
        new = [sentence for kind, sentence in found.items() if kind not in self._said]
        self._said |= found.keys()
        return new
