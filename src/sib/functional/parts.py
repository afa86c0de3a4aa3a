"""The terms of S-IB in two stages: the parts of each image, and the term of the batch's parts.

A term depends on the images only through these parts: the rows that HSIC compares, the maps that
SSIM compares, or a scalar of the background. Parts can therefore be computed a few images at a
time, or on several processes, and be joined before the term is computed; see
`sib.tasks.accumulate` and `sib.distributed.batch_gather`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from sib.functional import checks
from sib.functional.dependence import hsic_of_kernels, random_projection
from sib.functional.similarity import ssim

Parts = tuple[Tensor, ...]
"""Tensors with one entry per image, (B, …)."""


class Dependence(NamedTuple):
    """How HSIC is computed; arguments as in `foreground_alignment`."""

    projection_dim: int | None = None
    estimator: str = "biased"
    generator: torch.Generator | None = None


class BatchGather(NamedTuple):
    """How the parts on this process are combined with those on other processes."""

    products: Callable[[Tensor], Tensor]
    """Rows (B, D) → the inner products of the rows of all processes, a square matrix."""
    values: Callable[[Tensor], Tensor]
    """Values (B, …) → the values of all processes, (B of all, …)."""


def alignment_parts(R: Tensor, images: Tensor, mask: Tensor, kind: str) -> Parts:
    """What `alignment` needs of each image."""
    if kind == "ssim":
        return R * mask, images * mask
    return _weighted_rows(R, mask), _weighted_rows(images, mask)


def background_parts(R: Tensor, images: Tensor, mask: Tensor, kind: str) -> Parts:
    """What `background` needs of each image."""
    outside = 1 - mask
    if kind == "hsic":
        return _weighted_rows(R, outside), _weighted_rows(images, outside)
    if kind == "variance":
        if R[0].numel() < 2:
            raise ValueError(f"R must have at least 2 values per image; got {checks.shape(R)}")
        return (_WeightedVariance.apply(R, outside),)
    return ((R.abs() * outside).mean(dim=(1, 2, 3)),)


def alignment(parts: Parts, kind: str, dependence: Dependence, gather: BatchGather) -> Tensor:
    """The foreground term of a batch, a scalar."""
    if kind == "ssim":
        a, b = (_unit_range(gather.values(part)) for part in parts)
        return ssim(a, b)
    return _row_dependence(parts, dependence, gather)


def background(parts: Parts, kind: str, dependence: Dependence, gather: BatchGather) -> Tensor:
    """The background term of a batch, a scalar."""
    if kind == "hsic":
        return _row_dependence(parts, dependence, gather)
    return gather.values(parts[0]).mean()


def _row_dependence(rows: Parts, dependence: Dependence, gather: BatchGather) -> Tensor:
    a, b = rows
    size = dependence.projection_dim
    if size is not None:
        checks.whole_number("projection_dim", size)
        source = dependence.generator
        projection = random_projection(a.shape[1], size, source, a.device, a.dtype)
        a, b = F.normalize(a, dim=1) @ projection, F.normalize(b, dim=1) @ projection
    K, L = (_cosines(gather.products(part)) for part in (a, b))
    return hsic_of_kernels(K, L, dependence.estimator)


def _cosines(products: Tensor) -> Tensor:
    """Kernel matrix of the normalised rows: it divides B² products instead of B·D values."""
    squares = products.diagonal()
    counts = squares > torch.finfo(products.dtype).tiny ** (2 / 3)  # below, x⁻³ᐟ² overflows
    inverse_norms = torch.where(counts, squares, 1).rsqrt()
    return products * inverse_norms[:, None] * inverse_norms


class _Gram(torch.autograd.Function):
    """rows rowsᵀ, whose gradient (G + Gᵀ) rows takes one product instead of two."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        ctx.save_for_backward(rows)
        return rows @ rows.T

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        rows: Tensor = ctx.saved_tensors[0]
        return (gradient + gradient.T) @ rows


LOCAL = BatchGather(_Gram.apply, lambda values: values)
"""The batch of this process is the whole batch."""


class _Weighted(torch.autograd.Function):
    """values ∘ weight for a weight with one channel (B, 1, H, W)."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(values, weight)
        return values * weight

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        values, weight = ctx.saved_tensors
        of_values = gradient * weight if ctx.needs_input_grad[0] else None
        return of_values, _channel_dot(gradient, values) if ctx.needs_input_grad[1] else None


class _WeightedVariance(torch.autograd.Function):
    """Unbiased variance of values ∘ weight over channels and pixels, in few passes: (B,)."""

    @staticmethod
    def centred(values: Tensor, weight: Tensor) -> Tensor:
        """values ∘ weight minus its mean over an image."""
        weighted = values * weight
        return weighted - weighted.mean(dim=(1, 2, 3), keepdim=True)

    @staticmethod
    def forward(ctx: Any, values: Tensor, weight: Tensor) -> Tensor:
        centred = _WeightedVariance.centred(values, weight)
        ctx.save_for_backward(values, weight, centred)
        return centred.square().sum(dim=(1, 2, 3)) / (values[0].numel() - 1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        values, weight, centred = ctx.saved_tensors
        if torch.is_grad_enabled():  # recomputed as a function of values and weight
            centred = _WeightedVariance.centred(values, weight)
        scale = (2 / (values[0].numel() - 1) * gradient)[:, None, None, None]
        return centred * (scale * weight), scale * _channel_dot(centred, values)


def _channel_dot(a: Tensor, b: Tensor) -> Tensor:
    """Σ_c a_c b_c, (B, 1, H, W), without storing the product of all channels."""
    total = a[:, :1] * b[:, :1]
    for channel in range(1, a.shape[1]):
        one = slice(channel, channel + 1)
        total.addcmul_(a[:, one], b[:, one])
    return total


def _weighted_rows(values: Tensor, weight: Tensor) -> Tensor:
    """values ∘ weight as rows (B, C·H·W), scaled so that squares neither underflow nor overflow.

    Only the direction of a row matters later, so a constant factor changes neither the result nor
    its gradient. The factor is applied to the weight, which has one channel. A row so small that
    its gradient 1 / |row| would overflow counts as zero and gets no gradient.
    """
    rows = values.detach().flatten(1)
    largest = torch.maximum(-rows.amin(dim=1), rows.amax(dim=1))  # without copying |values|
    largest = largest * weight.detach().amax(dim=(1, 2, 3))
    smallest = 1e6 * torch.finfo(values.dtype).tiny
    factor = torch.where(largest > smallest, 1 / largest, 0)
    weighted: Tensor = _Weighted.apply(values, weight * factor[:, None, None, None])
    return weighted.flatten(1)


def _unit_range(values: Tensor) -> Tensor:
    low, high = values.amin(), values.amax()
    spread = high - low
    rounding = torch.finfo(values.dtype).eps * torch.maximum(low.abs(), high.abs())
    # values that differ only by rounding count as constant: their gradient could overflow
    return (values - low) * torch.where(spread > rounding, 1 / (spread + 1e-10), 0)
