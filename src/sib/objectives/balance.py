"""Weights that follow the gradients: how strongly each term pulls, in units of cross-entropy."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from sib.functional.precision import at_least_float32

HALF_SCALES = (2.0**10, 2.0**4, 1.0)
"""Of losses whose gradients pass through float16, the first with which none overflows."""
LARGEST_RISE = 4.0
"""Of a factor from one measurement to the next."""


class GradientSums:
    """The gradients of several losses by the same parameters, added up over micro-batches.

    Costs a backward pass for each loss. The graph is kept, so that a step can follow.

    Args:
        parameters: those that do not require a gradient are left out.
    """

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        self.parameters = [p for p in parameters if p.requires_grad]
        self.sums: list[Tensor] = []
        """One for each loss, all its values in a row."""

    def add(self, losses: Sequence[Tensor]) -> None:
        """Add the gradients of the losses, scalars, in the same order each time."""
        device = losses[0].device.type
        mixed = torch.is_autocast_enabled(device)
        half = mixed and torch.get_autocast_dtype(device) == torch.float16
        scales = HALF_SCALES if half else (1.0,)
        first = not self.sums
        with torch.autocast(device, enabled=False):
            for index, loss in enumerate(losses):
                found = self._gradient(loss, scales)
                if first:
                    self.sums.append(found)
                else:
                    self.sums[index] += found

    def _gradient(self, loss: Tensor, scales: Sequence[float]) -> Tensor:
        if not self.parameters or not loss.requires_grad:  # a term that the model does not have
            count = sum(p.numel() for p in self.parameters)
            return torch.zeros(count, dtype=loss.dtype, device=loss.device)
        for scale in scales:
            gradients = torch.autograd.grad(
                scale * loss,
                self.parameters,
                retain_graph=True,
                allow_unused=True,
                materialize_grads=True,
            )
            found = torch.cat([at_least_float32(each).flatten() for each in gradients])
            if scale == 1 or found.isfinite().all():
                break
        return found if scale == 1 else found.div_(scale)


def balanced(cross_entropy: Tensor, *terms: Tensor, before: Tensor) -> Tensor:
    """Factors that give each term a gradient as long as cross-entropy's: ‖∇H‖ / ‖∇ρ_k‖.

    A batch whose ρ_k is nearly flat would give a factor that no other batch can bear; so a factor
    rises at most `LARGEST_RISE` times from one measurement to the next.

    Args:
        cross_entropy: ∇H, all its values in a row.
        terms: the same of each ρ_k.
        before: factors so far, (K,), 0 for one that was not measured yet. They stay where a
            gradient is zero or not finite.

    Returns:
        (K,).

    Source: the adaptive weight of Esser et al. 2021 (arXiv 2012.09841, equation 7), taken over all
    parameters; see also GradNorm, Chen et al. 2018 (arXiv 1711.02257).
    """
    plain, *norms = (gradient.norm() for gradient in (cross_entropy, *terms))
    found = (plain / torch.stack(norms)).to(before)
    found = torch.where(found.isfinite() & (found > 0), found, before)
    return torch.where(before > 0, found.minimum(LARGEST_RISE * before), found)
