"""How strongly each term pulls: fixed weights, or weights in units of cross-entropy's gradient."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sib.functional import checks
from sib.functional.precision import at_least_float32

WEIGHT_UPDATE_INTERVAL = 8
"""Steps with terms from one measurement of the gradients to the next."""
HALF_SCALES = (2.0**10, 2.0**4, 1.0)
"""Scales for losses whose gradients pass through float16: the first without overflow is used."""
LARGEST_RISE = 4.0
"""Most that a factor may grow by from one measurement to the next."""
STEADY_FROM = 64
"""Step with terms from which ``steady_interval`` holds."""


class Losses(NamedTuple):
    """One micro-batch as a weighting measures it; scalars with their graph."""

    cross_entropy: Tensor
    penalties: dict[str, Tensor]


class Measured(NamedTuple):
    """The gradients that a weighting computed on one batch; each has all its values in a row."""

    parameters: list[nn.Parameter]
    """Those that the batch's losses depend on."""
    cross_entropy: Tensor
    penalties: dict[str, Tensor]


class Weighting(nn.Module):
    """Finds β_k, the factor of each term beside its configured weight λ_k."""

    needs_cross_entropy = False
    """Whether it measures the gradient of the classification loss."""

    def bind(self, names: Sequence[str]) -> None:
        """Learn the names of the terms; an objective calls it once."""
        self.names = tuple(names)

    def is_due(self, step: int) -> bool:
        """Whether `update` is to be called before the terms of this step are weighted."""
        return False

    def update(
        self, batches: Iterable[Losses], parameters: Iterable[nn.Parameter]
    ) -> Measured | None:
        """Measure β on one batch, given as its micro-batches.

        Returns:
            The gradients of the classification loss and of all penalties, where they were needed
            for β; None where they were not.
        """
        return None

    def weights(self, given: dict[str, float]) -> dict[str, float | Tensor]:
        """λ_k β_k, from λ_k."""
        return dict(given)


class FixedWeights(Weighting):
    """β = 1: the weights are those that were configured."""


class GradientBalancer(Weighting):
    """β_k = ‖∇H‖ / ‖∇P_k‖, so that λ_k is the norm of a term's gradient over cross-entropy's.

    H is the classification loss and P_k a term's penalty; the norms are taken over all parameters
    that are trained. The same λ then serve data sets and networks whose terms move at very
    different rates. β is measured on every ``interval``-th step with terms and holds in between. A
    measurement costs one backward pass for each term and one for H. Together they make up the
    gradient of the step, so `Task` needs no further backward pass.

    As a network fits its training images, ‖∇H‖ fades, and terms that follow it stop pulling. With
    ``floor`` above 0 the unit is max(‖∇H‖, floor · largest ‖∇H‖ so far).

    Args:
        interval: steps with terms between two measurements, at least 1.
        floor: in [0, 1].
        steady_interval: the interval from the 64th step with terms on, when the weights move
            slowly; None for ``interval`` throughout. A multiple of ``interval`` measures on a part
            of the same steps. It depends on the number of the step alone, so a resumed run measures
            on the same steps.

    Raises:
        ValueError: an argument is out of its range.

    Source: the adaptive weight of Esser et al. 2021 (arXiv 2012.09841, equation 7), taken over all
    parameters; see also GradNorm, Chen et al. 2018 (arXiv 1711.02257).
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
        """Learn the names of the terms; nothing is measured yet."""
        super().bind(names)
        self.register_buffer("factors", torch.zeros(len(names)))
        self.register_buffer("largest", torch.zeros(()))

    def is_due(self, step: int) -> bool:
        """On every ``interval``-th step, from the 64th on on every ``steady_interval``-th."""
        return step % (self.interval if step < STEADY_FROM else self.steady_interval) == 0

    def update(
        self, batches: Iterable[Losses], parameters: Iterable[nn.Parameter]
    ) -> Measured | None:
        """Measure β; arguments and result as of `Objective.update_weights`."""
        gradients = GradientSums(parameters)
        for losses in batches:
            gradients.add([losses.cross_entropy, *(losses.penalties[name] for name in self.names)])
            del losses  # its graph goes before the next one is made
        if not gradients.sums:
            return None
        # buffers keep their type, since DistributedDataParallel sends them between processes
        cross_entropy, *terms = (gradient.norm() for gradient in gradients.sums)
        device = cross_entropy.device
        norm = cross_entropy.nan_to_num(0, 0, 0).to(self.largest.dtype)
        self.largest = torch.maximum(self.largest.to(device), norm)
        unit = torch.maximum(cross_entropy, self.floor * self.largest)
        self.factors = gradient_norm_ratios(unit, torch.stack(terms), self.factors.to(device))
        return gradients.measured(self.names)

    def weights(self, given: dict[str, float]) -> dict[str, float | Tensor]:
        """λ_k β_k, from λ_k; 0 for a term that was never measured."""
        factors = zip(self.names, self.factors, strict=True)
        return {name: given[name] * factor for name, factor in factors}


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
        self.used = [False] * len(self.parameters)
        """Whether any loss depends on a parameter."""

    def add(self, losses: Sequence[Tensor]) -> None:
        """Add the gradients of the losses, scalars, in the same order each time."""
        device = losses[0].device.type
        mixed = torch.is_autocast_enabled(device)
        half = mixed and torch.get_autocast_dtype(device) == torch.float16
        scales = HALF_SCALES if half else (1.0,)
        first = not self.sums
        with torch.autocast(device, enabled=False):
            for index, loss in enumerate(losses):
                gradient = self._gradient(loss, scales)
                if first:
                    self.sums.append(gradient)
                else:
                    self.sums[index] += gradient

    def _gradient(self, loss: Tensor, scales: Sequence[float]) -> Tensor:
        if not self.parameters or not loss.requires_grad:  # a term that the model does not have
            count = sum(p.numel() for p in self.parameters)
            return torch.zeros(count, dtype=loss.dtype, device=loss.device)
        for scale in scales:
            gradients = torch.autograd.grad(
                scale * loss, self.parameters, retain_graph=True, allow_unused=True
            )
            pairs = zip(gradients, self.parameters, strict=True)
            row = torch.cat(
                [
                    at_least_float32(torch.zeros_like(p) if each is None else each).flatten()
                    for each, p in pairs
                ]
            )
            if scale == 1 or row.isfinite().all():
                break
        for index, each in enumerate(gradients):
            self.used[index] |= each is not None
        return row if scale == 1 else row.div_(scale)

    def measured(self, names: Sequence[str]) -> Measured:
        """The gradients by the parameters that any loss depends on, without a copy if all are.

        Args:
            names: of the losses after the first, which is the classification loss.
        """
        sizes = [p.numel() for p in self.parameters]
        rows = self.sums
        if not all(self.used):
            kept = [
                [part for part, used in zip(row.split(sizes), self.used, strict=True) if used]
                for row in rows
            ]
            rows = [
                torch.cat(parts) if parts else row[:0]
                for parts, row in zip(kept, rows, strict=True)
            ]
        parameters = [p for p, used in zip(self.parameters, self.used, strict=True) if used]
        return Measured(parameters, rows[0], dict(zip(names, rows[1:], strict=True)))


def gradient_norm_ratios(unit: Tensor, norms: Tensor, previous: Tensor) -> Tensor:
    """Factors that make each term's gradient as long as a unit: unit / ‖∇P_k‖.

    A batch on which a term is nearly flat would give a factor that no other batch can bear, so a
    factor grows at most `LARGEST_RISE` times from one measurement to the next.

    Args:
        unit: scalar, the norm of the gradient of the classification loss.
        norms: (K,), ‖∇P_k‖.
        previous: (K,), the factors so far, 0 for one that was never measured. They stay where a
            gradient is zero or not finite.

    Returns:
        (K,).
    """
    ratios = (unit / norms).to(previous)
    ratios = torch.where(ratios.isfinite() & (ratios > 0), ratios, previous)
    return torch.where(previous > 0, ratios.minimum(LARGEST_RISE * previous), ratios)
