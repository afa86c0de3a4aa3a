"""The strength of each term: fixed weights, or weights relative to cross-entropy's gradient."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sib.functional import checks
from sib.objectives.gradient_sums import GradientSums, Measured

WEIGHT_UPDATE_INTERVAL = 8
"""Number of steps with terms between two measurements of the gradients."""
LARGEST_RISE = 4.0
"""A factor grows at most this many times from one measurement to the next."""
STEADY_FROM = 64
"""Number of the step with terms from which ``steady_interval`` applies."""


class Losses(NamedTuple):
    """The losses of one micro-batch that a weighting measures; scalars with their graph."""

    cross_entropy: Tensor
    penalties: dict[str, Tensor]


class Weighting(nn.Module):
    """Computes β_k, the factor by which each term's configured weight λ_k is multiplied."""

    needs_cross_entropy = False
    """Whether it measures the gradient of the classification loss."""

    def bind(self, names: Sequence[str]) -> None:
        """Set the names of the terms; an objective calls this once."""
        self.names = tuple(names)

    def is_due(self, step: int) -> bool:
        """Whether `update` must be called before the terms of this step are weighted."""
        return False

    def update(
        self, batches: Iterable[Losses], parameters: Iterable[nn.Parameter]
    ) -> Measured | None:
        """Measure β on one batch, given as its micro-batches.

        Returns:
            The gradients of the classification loss and of all penalties if β needed them, else
            None.
        """
        return None

    def weights(self, given: dict[str, float]) -> dict[str, float | Tensor]:
        """λ_k β_k, from λ_k."""
        return dict(given)


class FixedWeights(Weighting):
    """β = 1: the weights are the configured ones.

    Example:
        >>> import sib
        >>> objective = sib.SpatialIB.calibrated(weighting=sib.objectives.FixedWeights())
        >>> objective.weights()
        {'image': 0.1, 'stages': 0.1, 'layer': 0.1}
    """


class GradientBalancer(Weighting):
    """β_k = ‖∇H‖ / ‖∇P_k‖: λ_k is the norm of a term's gradient relative to cross-entropy's.

    H is the classification loss and P_k a term's penalty; the norms are over all trained
    parameters. The same λ then work for data sets and networks whose terms change at very different
    rates. β is measured on every ``interval``-th step with terms and is constant in between. A
    measurement costs one backward pass for each term and one for H. Together they make up the
    gradient of the step, so `Task` needs no further backward pass.

    As a network fits its training images, ‖∇H‖ shrinks, and terms weighted by it lose their effect.
    With ``floor`` above 0, ‖∇H‖ is replaced by max(‖∇H‖, floor · largest ‖∇H‖ so far).

    Args:
        interval: number of steps with terms between two measurements, at least 1.
        floor: smallest unit, as a fraction of the largest ‖∇H‖ so far, in [0, 1].
        steady_interval: the interval from the 64th step with terms on, when the weights change
            slowly; None for ``interval`` throughout. A multiple of ``interval`` measures on a
            subset of the same steps. The interval depends only on the number of the step, so a
            resumed run measures on the same steps.

    Raises:
        ValueError: an argument is out of its range.

    Source: the adaptive weight of Esser et al. 2021 (arXiv 2012.09841, equation 7), taken over all
    parameters; see also GradNorm, Chen et al. 2018 (arXiv 1711.02257).

    Example:
        >>> import sib
        >>> balancer = sib.objectives.GradientBalancer(floor=1.0)
        >>> objective = sib.objectives.RightReasons(0.1, weighting=balancer)
        >>> objective.weights_are_due(0)
        True
    """

    needs_cross_entropy = True
    factors: Tensor
    largest: Tensor

    def __init__(
        self,
        interval: int = WEIGHT_UPDATE_INTERVAL,
        floor: float = 0.0,
        *,
        steady_interval: int | None = None,
    ) -> None:
        super().__init__()
        checks.whole_number("interval", interval)
        if steady_interval is not None:
            checks.whole_number("steady_interval", steady_interval)
        if not isinstance(floor, (int, float)) or not 0 <= floor <= 1:
            raise ValueError(f"floor must lie in [0, 1]; got {floor!r}")
        self.interval, self.floor = interval, floor
        self.steady_interval = interval if steady_interval is None else steady_interval

    def bind(self, names: Sequence[str]) -> None:
        """Set the names of the terms; nothing is measured yet."""
        super().bind(names)
        self.register_buffer("factors", torch.zeros(len(names)))
        self.register_buffer("largest", torch.zeros(()))

    def is_due(self, step: int) -> bool:
        """True on every ``interval``-th step; from the 64th on, every ``steady_interval``-th."""
        return step % (self.interval if step < STEADY_FROM else self.steady_interval) == 0

    def update(
        self, batches: Iterable[Losses], parameters: Iterable[nn.Parameter]
    ) -> Measured | None:
        """Measure β; arguments and result as in `Objective.update_weights`."""
        gradients = GradientSums(parameters)
        for losses in batches:
            gradients.add([losses.cross_entropy, *(losses.penalties[name] for name in self.names)])
            del losses  # frees its graph before the next one is built
        if not gradients.sums:
            return None
        # buffers keep their type, since DistributedDataParallel broadcasts them
        cross_entropy, *terms = (gradient.norm() for gradient in gradients.sums)
        device = cross_entropy.device
        norm = cross_entropy.nan_to_num(0, 0, 0).to(self.largest.dtype)
        self._set("largest", torch.maximum(self.largest.to(device), norm))
        unit = torch.maximum(cross_entropy, self.floor * self.largest)
        factors = gradient_norm_ratios(unit, torch.stack(terms), self.factors.to(device))
        self._set("factors", factors)
        return gradients.measured(self.names)

    @torch.no_grad()
    def _set(self, name: str, value: Tensor) -> None:
        """Write a buffer in place where it can be, since a CUDA graph reads it from there."""
        buffer = getattr(self, name)
        if buffer.device == value.device and buffer.dtype == value.dtype:
            buffer.copy_(value)
        else:
            setattr(self, name, value.detach())

    def weights(self, given: dict[str, float]) -> dict[str, float | Tensor]:
        """λ_k β_k, from λ_k; 0 for a term that was never measured."""
        factors = zip(self.names, self.factors, strict=True)
        return {name: given[name] * factor for name, factor in factors}


def gradient_norm_ratios(unit: Tensor, norms: Tensor, previous: Tensor) -> Tensor:
    """Factors that give each term's gradient the same norm: unit / ‖∇P_k‖.

    A batch on which a term is nearly flat would give a factor far too large for other batches. So a
    factor grows at most `LARGEST_RISE` times from one measurement to the next.

    Args:
        unit: scalar, the norm of the gradient of the classification loss.
        norms: (K,), ‖∇P_k‖.
        previous: (K,), the factors so far, 0 for one that was never measured. A factor is kept if
            its gradient is zero or not finite.

    Returns:
        (K,).
    """
    ratios = (unit / norms).to(previous)
    ratios = torch.where(ratios.isfinite() & (ratios > 0), ratios, previous)
    return torch.where(previous > 0, ratios.minimum(LARGEST_RISE * previous), ratios)
