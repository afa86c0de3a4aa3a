"""Soft quantile: a differentiable order statistic."""

import math

import torch
from torch import Tensor

from sib.functional import checks
from sib.functional.precision import at_least_float32
from sib.functional.selection import order_statistic_indices


def soft_quantile(values: Tensor, q: float, dim: int = -1, temperature: float = 0.1) -> Tensor:
    """Weighted mean of the sorted values around rank q(n − 1).

    Q_q(v) = Σ_i w_i v_(i), with w = softmax_i(−|i − q(n − 1)| / temperature) and sorted values
    v_(0) ≤ … ≤ v_(n−1). The temperature is in ranks: at 0.1, nearly all weight is on the one or two
    nearest order statistics.

    Args:
        values: any shape, floating point; half precision is computed in float32.
        q: quantile in [0, 1].
        dim: dimension along which to take it.
        temperature: width of the weights in ranks, above 0.

    Returns:
        ``values`` with ``dim`` of size 1.

    Raises:
        ValueError: ``q``, ``temperature`` or ``dim`` is out of range, or ``dim`` is empty.

    Source: arXiv 2511.09239, published scripts.

    Example:
        >>> import sib, torch
        >>> round(sib.functional.soft_quantile(torch.arange(101.0), 0.8).item(), 3)
        80.0
    """
    checks.floating("values", values)
    if values.ndim and not -values.ndim <= dim < values.ndim:
        raise ValueError(f"dim must be an axis of values {checks.shape(values)}; got {dim}")
    if values.ndim == 0 or values.shape[dim] == 0:
        raise ValueError(f"values must have entries along dim; got shape {checks.shape(values)}")
    moved = at_least_float32(values).movedim(dim, -1)
    (result,) = soft_quantiles(moved.reshape(-1, moved.shape[-1]), (q,), temperature)
    return result.view(*moved.shape[:-1], 1).movedim(-1, dim)


def soft_quantiles(rows: Tensor, qs: tuple[float, ...], temperature: float) -> list[Tensor]:
    """Soft quantiles of the last dimension of (B, n) at several ``qs``, from one selection.

    The selection is kept out of the graph. A gradient reaches only the few ranks whose weight is
    not zero, so the backward pass scatters tens of values instead of all n.
    """
    checks.positive("temperature", temperature)
    # in float64, which Apple's GPUs do not have
    device = rows.device if rows.is_cuda else torch.device("cpu")
    weighted = [_weights(rows.shape[-1], q, temperature, rows.dtype, device) for q in qs]
    windows = [(first, first + len(weights) - 1) for first, weights in weighted]
    return [
        (rows.gather(-1, ranks) * weights.to(rows.device)).sum(dim=-1, keepdim=True)
        for ranks, (_, weights) in zip(
            order_statistic_indices(rows, windows), weighted, strict=True
        )
    ]


def _weights(
    n: int, q: float, temperature: float, dtype: torch.dtype, device: torch.device
) -> tuple[int, Tensor]:
    """First rank and the weights of the ranks around q(n − 1) that do not underflow to zero."""
    if not 0 <= q <= 1:
        raise ValueError(f"q must lie in [0, 1]; got {q!r}")
    target = q * (n - 1)
    # exp(−reach / temperature) is below half the smallest subnormal of the dtype
    smallest = torch.finfo(dtype).smallest_normal * torch.finfo(dtype).eps
    reach = min(float(n), temperature * (1 - math.log(smallest)) + 1)
    first = max(0, math.ceil(target - reach))
    last = min(n - 1, math.floor(target + reach))
    ranks = torch.arange(first, last + 1, dtype=torch.float64, device=device)
    return first, torch.softmax(-(ranks - target).abs() / temperature, dim=0).to(dtype)
