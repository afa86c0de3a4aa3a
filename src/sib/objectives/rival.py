"""What the rivals have in common: cross-entropy and one term, a mean over images."""

from abc import abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sib.double_backward import check_graph, check_model
from sib.functional import checks
from sib.functional.precision import at_least_float32
from sib.tasks.plain import Directions, TaskOutput, check_batch, check_logits


class Rival(nn.Module):
    """loss = cross-entropy + weight · mean over the images of the batch of the method's term.

    Images without annotation count in the mean with a term of 0, so that a batch is the mean of
    its parts, in micro-batches and over processes.

    Args:
        model: classifier (B, C, H, W) → (B, K), differentiable twice, not compiled.
        weight: of the term, at least 0.
        validate: as of `SpatialIBTask`.

    Raises:
        ValueError: the model cannot be differentiated twice; the weight is out of its range.
    """

    name = "term"
    """Of the term, in the log."""
    needs_foreground = False
    every_n_steps = 1
    twice = True
    """Whether the loss differentiates a gradient."""

    def __init__(self, model: nn.Module, weight: float = 1.0, *, validate: bool = True) -> None:
        super().__init__()
        check_model(model)
        if not isinstance(weight, (int, float)) or not 0 <= weight < float("inf"):
            raise ValueError(f"weight must be a finite number of at least 0; got {weight!r}")
        self.model, self.weight, self.validate = model, weight, validate
        self._first_call = True

    @abstractmethod
    def logits_and_term(
        self, images: Tensor, labels: Tensor, foreground: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Logits (B, K), and the term of each image (B,)."""

    def forward(
        self,
        images: Tensor,
        labels: Tensor,
        directions: Directions | None = None,
        foreground: Tensor | None = None,
    ) -> TaskOutput:
        """Loss of one batch.

        Args:
            images: (B, C, H, W), finite, floating point.
            labels: (B,), int64 in [0, K).
            directions: the share of these images in a larger batch; only `sib.accumulate` has a
                use for it.
            foreground: (B, 1, H, W), bool or in [0, 1]; zero everywhere for an image that is not
                annotated.

        Returns:
            `TaskOutput` without S-IB terms.

        Raises:
            ValueError: shapes or dtypes that do not fit, images that are not finite, labels out of
                range, gradients switched off, a foreground that is needed and missing.
        """
        check_batch(images, labels, self.validate)
        if not torch.is_grad_enabled():
            raise ValueError("the loss needs gradients: call the task outside torch.no_grad()")
        if foreground is not None:
            checks.foreground(foreground, images, look=self.validate)
        elif self.needs_foreground:
            raise ValueError(f"foreground must be given: {type(self).__name__} needs annotation")
        logits, term = self.logits_and_term(images.detach(), labels, foreground)
        share = 1 if directions is None else directions.share
        cross_entropy = share * F.cross_entropy(at_least_float32(logits), labels)
        piece = share * self.weight * term.mean()
        return TaskOutput(cross_entropy + piece, logits, cross_entropy, None, {self.name: piece})

    def backward(self, loss: Tensor) -> None:
        """Accumulate the gradients of the parameters, and of nothing else."""
        torch.autograd.backward(loss, inputs=[p for p in self.parameters() if p.requires_grad])

    def terms_are_due(self) -> bool:
        """In every step."""
        return True

    def check(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The logits in float32 or better, or ValueError where they do not fit the labels or cannot
        be differentiated twice."""
        check_logits(logits, labels, self.validate)
        if self._first_call and self.twice:
            check_graph(logits)
            self._first_call = False
        return at_least_float32(logits)


def annotated(foreground: Tensor) -> Tensor:
    """(B,), whether an image has a foreground."""
    return foreground.flatten(1).any(dim=1)
