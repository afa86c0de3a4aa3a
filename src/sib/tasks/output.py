"""What one training step computed."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from sib.objectives.parts import Terms, map_weights


class StepOutput(NamedTuple):
    """One step: the loss and its components.

    Example:
        >>> import sib, torch
        >>> task = sib.Task(sib.models.SmallResNet(3), sib.SpatialIB.calibrated())
        >>> out = task(torch.randn(4, 3, 32, 32), torch.tensor([0, 1, 2, 0]))
        >>> out.logits.shape, list(out.weighted_terms)
        (torch.Size([4, 3]), ['image', 'stages', 'layer'])
        >>> bool(torch.isclose(out.loss, out.cross_entropy + sum(out.weighted_terms.values())))
        True
    """

    loss: Tensor
    """Scalar to be minimised: the classification loss plus the weighted terms."""
    logits: Tensor
    """(B, K)."""
    cross_entropy: Tensor
    """Scalar, the classification loss: cross-entropy, or the task's own criterion."""
    terms: Terms | None = None
    """The objective's terms; None for a step without terms."""
    weighted_terms: dict[str, Tensor] = {}  # noqa: RUF012  a NamedTuple's default is never changed
    """What each term adds to the loss. Their sum plus the classification loss is the loss."""
    weights: dict[str, float | Tensor] = {}  # noqa: RUF012
    """The factor that each term's penalty was multiplied by."""

    @classmethod
    def of(
        cls, logits: Tensor, cross_entropy: Tensor, terms: Terms, scale: float = 1
    ) -> "StepOutput":
        """The output of a step whose terms count ``scale`` times."""
        return cls(
            cross_entropy + scale * terms.loss,
            logits,
            cross_entropy,
            terms,
            {name: scale * each for name, each in terms.weighted.items()},
            {name: scale * each for name, each in terms.weights.items()},
        )

    @property
    def diagnostics(self) -> dict[str, Tensor]:
        """Scalars that describe R and M of the batch, on the device; empty for other methods.

        ``reconstruction_scale``: mean |R|. ``mask_area``: share of the pixels with M > 0.5.
        ``mask_softness``: share with 0.1 < M < 0.9.
        """
        if self.terms is None or self.terms.reconstruction is None or self.terms.mask is None:
            return {}
        mask = self.terms.mask.detach()
        return {
            "reconstruction_scale": self.terms.reconstruction.detach().abs().mean(),
            "mask_area": (mask > 0.5).float().mean(),
            "mask_softness": ((mask > 0.1) & (mask < 0.9)).float().mean(),
        }

    def detach(self) -> "StepOutput":
        """The same output without its graph."""
        return self.map(Tensor.detach)

    def map(self, function: Callable[[Tensor], Tensor]) -> "StepOutput":
        """The same output with a function applied to each of its tensors."""
        return StepOutput(
            function(self.loss),
            function(self.logits),
            function(self.cross_entropy),
            None if self.terms is None else self.terms.map(function),
            {name: function(term) for name, term in self.weighted_terms.items()},
            map_weights(self.weights, function),
        )
