"""What a step is described by, and whether the S-IB terms are at work in it."""

from typing import Any

import torch
from torch import Tensor

from sib import distributed
from sib.objectives.weighting import GradientSums
from sib.tasks.output import StepOutput
from sib.tasks.task import Task


def describe_step(out: StepOutput, labels: Tensor) -> dict[str, Tensor]:
    """Losses, accuracy, the terms as ``terms.NAME``, and the diagnostics of R and M."""
    targets = labels.argmax(dim=1) if labels.ndim == 2 else labels
    values = {
        "loss": out.loss,
        "cross_entropy": out.cross_entropy,
        "accuracy": (out.logits.argmax(dim=1) == targets).float().mean(),
    }
    if out.terms is None:
        return values
    terms = {f"terms.{name}": value for name, value in out.terms.values.items()}
    return values | terms | out.diagnostics


def term_weights(task: Task) -> dict[str, Any]:
    """``weights``: what each term's penalty is multiplied by now; empty without an objective."""
    if task.objective is None:
        return {}
    found = task.objective.weights()
    return {"weights": {name: float(weight) for name, weight in found.items()}}


class GradientRatios:
    """Norm of each term's gradient over that of cross-entropy's, over all parameters.

    Costs about a backward pass for each term of the outputs it is given.

    Args:
        task: whose parameters they are; the factor that makes up for its steps without terms is
            taken out.
    """

    def __init__(self, task: Task) -> None:
        self.every_n_steps = task.every_n_steps
        self.gradients = GradientSums(task.model.parameters())
        self.names: list[str] = []

    def add(self, out: StepOutput) -> None:
        """Add the gradients of one micro-batch; the graph is kept, so that the step can follow."""
        self.names = list(out.weighted_terms)
        self.gradients.add([out.cross_entropy, *out.weighted_terms.values()])

    def values(self) -> dict[str, float]:
        """Of the gradients added so far, in all processes together.

        Returns:
            ``gradient_ratio`` of the terms together, ``NAME_gradient_ratio`` of each one.
        """
        cross_entropy, *own = (distributed.all_reduce_sum(each) for each in self.gradients.sums)
        names = ["", *(f"{name}_" for name in self.names)]
        norms = torch.stack([each.norm() for each in (torch.stack(own).sum(0), *own)])
        ratios = (norms / self.every_n_steps / cross_entropy.norm()).tolist()
        return {f"{name}gradient_ratio": ratio for name, ratio in zip(names, ratios, strict=True)}


INERT, DOMINANT = 1e-3, 1.0
"""Norms of the terms' gradient over cross-entropy's outside of which a run is warned about."""
COLLAPSED = 1e-3
"""Mean |R| over the largest of an epoch so far, below which R counts as collapsed."""


ADVICE = {
    "published": "--objective.background-weight, or take --objective calibrated",
    "calibrated": "--objective.image-weight, --objective.layer-weight and --objective.stage-weight",
}
"""What to change, by the objective."""


class TermMonitor:
    """What a person should change about a run, in plain words, found in the records of its epochs.

    Args:
        largest_scale: of mean |R| in the epochs before, where a run goes on.
        objective: ``"published"`` or ``"calibrated"``, whose options the advice names.
    """

    def __init__(self, largest_scale: float = 0.0, objective: str = "published") -> None:
        self.largest_scale, self._advice = largest_scale, ADVICE[objective]
        self._said: set[str] = set()

    def check(self, record: dict[str, Any]) -> dict[str, str]:
        """Warnings of one epoch by kind: ``"inert"``, ``"dominant"``, ``"collapsed"``."""
        found: dict[str, str] = {}
        if "reconstruction_scale" not in record:  # of another method
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
        if scale < COLLAPSED * self.largest_scale or scale == 0 != self.largest_scale:
            found["collapsed"] = (
                f"R has collapsed: the mean of |R| is {scale:.1e}, after {self.largest_scale:.1e} "
                "in an earlier epoch, so the terms see next to nothing; either the network is "
                f"certain of every image (training accuracy {record['accuracy']:.3f}), or the "
                f"terms made R small: lower {self._advice}"
            )
        self.largest_scale = max(self.largest_scale, scale)
        return found

    def unseen(self, found: dict[str, str]) -> list[str]:
        """Those of a kind that was not said before."""
        new = [sentence for kind, sentence in found.items() if kind not in self._said]
        self._said |= found.keys()
        return new
