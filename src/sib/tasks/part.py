"""How some of a batch's images contribute to its loss."""

from typing import NamedTuple

import torch
from torch import Tensor

from sib.functional.precision import at_least_float32
from sib.objectives.base import Objective
from sib.objectives.parts import Parts
from sib.tasks.criterion import Criterion, criterion_loss
from sib.tasks.output import StepOutput


class PartGradients(NamedTuple):
    """What `sib.accumulate` knows about the whole batch when it computes a micro-batch's loss."""

    criterion: Criterion
    """The classification loss of the task."""
    share: float
    """The fraction of the batch that these images are, in (0, 1]."""
    regularized: bool = True
    """Whether the step has terms."""
    weights: dict[str, float | Tensor] | None = None
    """Weights of the terms, if these are means over the images."""
    terms: tuple[Tensor, ...] | None = None
    """If the terms are not means over the images: the gradient of the batch's weighted terms with
    respect to the parts of these images."""
    logits: Tensor | None = None
    """Gradient of the batch's classification loss with respect to the logits of these images; None
    if that loss is a mean over the images."""

    def classification_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """What these images add to the classification loss of the batch."""
        if self.logits is None:
            return self.share * criterion_loss(self.criterion, at_least_float32(logits), labels)
        return (self.logits * at_least_float32(logits)).sum()

    def output(
        self,
        objective: Objective,
        logits: Tensor,
        labels: Tensor,
        parts: Parts,
        scale: float,
    ) -> StepOutput:
        """What these images contribute to the loss of the batch, including the terms.

        Args:
            objective: the task's.
            logits: (B, K), of these images.
            labels: of these images.
            parts: v, the parts of these images.
            scale: how many times the terms count.
        """
        cross_entropy = self.classification_loss(logits, labels)
        if self.terms is not None:
            return self._coupled_output(self.terms, cross_entropy, logits, parts)
        terms = objective.weighted_terms(parts, self.weights, self.share)
        return StepOutput.of(logits, cross_entropy, terms, scale)

    @staticmethod
    def _coupled_output(
        terms: tuple[Tensor, ...], cross_entropy: Tensor, logits: Tensor, parts: Parts
    ) -> StepOutput:
        """The output if the terms couple the images: Σ ⟨∂L/∂v, v⟩ has the terms' gradient."""
        gradients = parts.with_tensors(terms).values
        weighted = {
            name: torch.stack(
                [(g * value).sum() for g, value in zip(gradients[name], own, strict=True)]
            ).sum()
            for name, own in parts.values.items()
            if own
        }
        total, *others = weighted.values()
        for each in others:
            total = total + each
        return StepOutput(cross_entropy + total, logits, cross_entropy, None, weighted)
