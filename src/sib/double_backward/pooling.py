"""Means whose gradient is a view, as those over all pixels in squeeze-excitation.

The gradient of each of N averaged values is gy / N. torch expands gy to the size of the input and
then divides it; here it is divided first, so that it takes no memory.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

# in lower precision a sum may overflow, and would be rounded before it is divided
_KINDS = (torch.float32, torch.float64)


def mean(
    scope: Any,
    func: Callable[..., Tensor],
    input: Tensor,
    dim: int | Sequence[int] | None = None,
    keepdim: bool = False,
    **options: Any,
) -> Tensor:
    """Replaces ``torch.mean`` inside `sib.second_order`."""
    axes = [dim] if isinstance(dim, int) else dim
    # names of axes, or none at all, are left to torch
    if not axes or isinstance(axes, str) or options or not _is_replaced(input):
        return func(input, **({} if dim is None else {"dim": dim, "keepdim": keepdim}), **options)
    return _mean(input, list(axes), keepdim)


def adaptive_avg_pool2d(
    scope: Any,
    func: Callable[..., Tensor],
    input: Tensor,
    output_size: int | tuple[int | None, ...],
) -> Tensor:
    """Replaces ``F.adaptive_avg_pool2d`` inside `sib.second_order`."""
    if (
        output_size not in (1, (1, 1), [1, 1])
        or input.ndim not in (3, 4)
        or not _is_replaced(input)
    ):
        return func(input, output_size)
    return _mean(input, [-2, -1], True)


def _is_replaced(input: Tensor) -> bool:
    needed = torch.is_grad_enabled() and input.requires_grad and input.numel() > 0
    return needed and input.dtype in _KINDS


def _mean(input: Tensor, axes: list[int], keepdim: bool) -> Tensor:
    count = math.prod(input.shape[axis] for axis in axes)
    return input.sum(axes, keepdim) / count


REPLACEMENTS: dict[Any, Callable[..., Tensor]] = {
    torch.mean: mean,
    Tensor.mean: mean,
    F.adaptive_avg_pool2d: adaptive_avg_pool2d,
}
