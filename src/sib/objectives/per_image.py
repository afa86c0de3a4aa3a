"""Objectives with one term that is a mean over the images of a batch."""

from typing import ClassVar

from torch import Tensor

from sib.functional import checks
from sib.functional.label_kinds import MULTI, LabelKind
from sib.objectives.base import Objective
from sib.objectives.parts import Parts
from sib.objectives.weighting import Weighting


class PerImageObjective(Objective):
    """loss = H + λ β · mean of the method's term over the images of the batch.

    Images without annotation count in the mean with a term of 0. A batch is therefore the mean of
    its parts, in micro-batches and over processes.

    Args:
        weight: λ, at least 0.
        weighting: as in `Objective`.

    Raises:
        ValueError: the weight is out of its range.

    Example:
        >>> import sib, torch
        >>> class SmallLogits(sib.objectives.PerImageObjective):
        ...     names = ("size",)
        ...     def forward_parts(self, model, images, labels, foreground=None, **options):
        ...         logits = model(images)
        ...         return logits, self._parts(logits.square().mean(dim=1))
        >>> task = sib.Task(sib.models.SmallResNet(3), SmallLogits(0.1))
        >>> out = task(torch.randn(2, 3, 32, 32), torch.tensor([0, 2]))
        >>> list(out.weighted_terms)
        ['size']
    """

    names: ClassVar[tuple[str, ...]]

    def __init__(self, weight: float = 1.0, weighting: Weighting | None = None) -> None:
        checks.at_least_zero("weight", weight)
        super().__init__(weighting)
        self.weight = weight

    def terms(self, parts: Parts) -> dict[str, Tensor]:
        """The mean over the images."""
        return {name: own[0].mean() for name, own in parts.values.items()}

    def term_weights(self) -> dict[str, float]:
        """λ."""
        return dict.fromkeys(self.names, self.weight)

    def _parts(self, term: Tensor) -> Parts:
        """The parts, given the term of each image, (B,)."""
        return Parts({self.names[0]: (term,)})


def annotated(foreground: Tensor) -> Tensor:
    """Whether each image has a foreground, (B,)."""
    return foreground.flatten(1).any(dim=1)


def hard_labels(labels: Tensor, method: str, kind: LabelKind) -> Tensor:
    """The labels as `LabelKind.true_score` takes them, or ValueError where they are soft.

    The method explains the classes of an image. Several labels an image are soft where one is
    neither 0 nor 1. The classes (B,) of a single logit are its label (B, 1) to binary
    cross-entropy.
    """
    if kind is MULTI:
        labels = labels[:, None] if labels.ndim == 1 else labels
        soft = not ((labels == 0) | (labels == 1)).all()
    else:
        soft = labels.is_floating_point()
    if soft:
        raise ValueError(f"labels must be whole classes for {method}; got soft labels")
    return labels
