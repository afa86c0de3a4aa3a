"""Plain cross-entropy as a task, and what all tasks have in common."""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sib.functional import checks
from sib.functional.parts import Parts
from sib.functional.precision import at_least_float32
from sib.objectives.published import SpatialIBTerms


class TaskOutput(NamedTuple):
    """What one training step computed."""

    loss: Tensor
    """Scalar to be minimised: cross-entropy plus the method's own terms."""
    logits: Tensor
    """(B, K)."""
    cross_entropy: Tensor
    """Scalar."""
    terms: SpatialIBTerms | None
    """The S-IB terms; None for methods that have none."""
    pieces: dict[str, Tensor] = {}  # noqa: RUF012  a NamedTuple's default is never written to
    """What each of the method's terms adds to the loss; with the cross-entropy they make it up."""


class Directions(NamedTuple):
    """How a few images of a larger batch enter its loss; made by `sib.accumulate`."""

    share: float
    """Of these images in the batch, in (0, 1]."""
    gradients: Parts = ()
    """Of the S-IB terms of the batch, with respect to the parts of these images."""


class CrossEntropyTask(nn.Module):
    """Plain cross-entropy behind the contract of `SpatialIBTask`: the baseline.

    Args:
        model: classifier (B, C, H, W) → (B, K).
        validate: as of `SpatialIBTask`.
    """

    def __init__(self, model: nn.Module, *, validate: bool = True) -> None:
        super().__init__()
        self.model, self.validate = model, validate

    def forward(
        self,
        images: Tensor,
        labels: Tensor,
        directions: Directions | None = None,
        foreground: Tensor | None = None,
    ) -> TaskOutput:
        """Loss of one batch; arguments and errors as in `SpatialIBTask.forward`."""
        return plain_output(self, images, labels, 1 if directions is None else directions.share)

    def backward(self, loss: Tensor) -> None:
        """Accumulate the gradients of the parameters."""
        loss.backward()


def plain_output(task: Any, images: Tensor, labels: Tensor, share: float = 1) -> TaskOutput:
    """Cross-entropy alone, times the share of the images in their batch."""
    check_batch(images, labels, task.validate)
    logits = task.model(images)
    check_logits(logits, labels, task.validate)
    loss = share * F.cross_entropy(at_least_float32(logits), labels)
    return TaskOutput(loss, logits, loss, None)


def check_batch(images: Tensor, labels: Tensor, values: bool = True) -> None:
    """Raise unless images and labels form a batch; with ``values``, unless images are finite."""
    checks.image_batch("images", images)
    if labels.shape != images.shape[:1] or labels.dtype != torch.int64:
        raise ValueError(
            f"labels must be int64 of shape ({images.shape[0]},), one per image; "
            f"got {labels.dtype} of shape {checks.shape(labels)}"
        )
    if values and not images.isfinite().all():
        raise ValueError("images must be finite; got NaN or infinity")


def check_logits(logits: Tensor, labels: Tensor, values: bool = True) -> None:
    """Raise unless the logits have a row per label; with ``values``, unless labels are in range."""
    if not isinstance(logits, Tensor):
        raise ValueError(f"model must give one tensor of logits; got {type(logits).__name__}")
    if logits.ndim != 2 or logits.shape[0] != labels.shape[0]:
        raise ValueError(
            f"model must give logits of shape ({labels.shape[0]}, K), a row per image; "
            f"got {checks.shape(logits)}"
        )
    if values and not ((labels >= 0) & (labels < logits.shape[1])).all():
        raise ValueError(
            f"labels must lie in [0, {logits.shape[1]}), the number of the model's classes; "
            f"got {int(labels.min())} to {int(labels.max())}"
        )
