"""Means whose gradient is a view, as those over all pixels in squeeze-excitation.

The gradient of each of N averaged values is gy / N. torch expands gy to the size of the input and
then divides it; here it is divided first, so that it takes no memory.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

# in lower precision a sum may overflow, and would be rounded before it is divided
_KINDS = (torch.float32, torch.float64)


def mean(
    scope: Any, func: Callable[..., Tensor], input: Tensor, *args: Any, **options: Any
) -> Tensor:
    """Replaces ``torch.mean`` over given axes inside `sib.second_order`."""
    dim = args[0] if args else options.get("dim")
    usual = options.keys() <= {"dim", "keepdim"}
    if dim in (None, (), []) or not usual or not _is_replaced(input):
        return func(input, *args, **options)
    return _mean(input, *args, **options)


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
    return _mean(input, (-2, -1), True)


def _is_replaced(input: Tensor) -> bool:
    needed = torch.is_grad_enabled() and input.requires_grad and input.numel() > 0
    return needed and input.dtype in _KINDS


def _mean(input: Tensor, dim: int | tuple[int, ...], keepdim: bool = False) -> Tensor:
    total = input.sum(dim, keepdim)
    return total / (input.numel() // total.numel())


REPLACEMENTS: dict[Any, Callable[..., Tensor]] = {
    torch.mean: mean,
    Tensor.mean: mean,
    F.adaptive_avg_pool2d: adaptive_avg_pool2d,
}
