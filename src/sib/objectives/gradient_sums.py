"""The gradients of several losses with respect to the same parameters, over micro-batches."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sib.functional.precision import at_least_float32

HALF_SCALES = (2.0**10, 2.0**4, 1.0)
"""Scales for losses whose gradients pass through float16; the first without overflow is used."""


class Measured(NamedTuple):
    """The gradients that a weighting computed on one batch; each is one flat tensor."""

    parameters: list[nn.Parameter]
    """The parameters that the batch's losses depend on."""
    cross_entropy: Tensor
    penalties: dict[str, Tensor]


class GradientSums:
    """The gradients of several losses with respect to the same parameters, over micro-batches.

    Each loss costs one backward pass. The graph is kept, so that a step can follow.

    Args:
        parameters: the parameters; those that do not require a gradient are left out.
    """

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        self.parameters = [p for p in parameters if p.requires_grad]
        self.sums: list[Tensor] = []
        """One flat tensor for each loss."""
        self.used = [False] * len(self.parameters)
        """Whether any loss depends on a parameter."""

    def add(self, losses: Sequence[Tensor]) -> None:
        """Add the gradients of scalar losses, given in the same order each time."""
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
        """The gradients with respect to the parameters that some loss depends on.

        They are not copied if every parameter is among these.

        Args:
            names: names of the losses after the first, which is the classification loss.
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
