"""Concatenation whose second derivative is a concatenation.

The VJP of a concatenation cuts gy into slices. torch differentiates each slice separately: it makes
a tensor of zeros as large as gy, copies the slice into it, and sums all of these tensors. DenseNet
concatenates up to 24 maps in each of its 58 layers.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


def cat(
    scope: Any,
    func: Callable[..., Tensor],
    tensors: Sequence[Tensor],
    *args: Any,
    **options: Any,
) -> Tensor:
    """Replaces ``torch.cat`` inside `sib.second_order`."""
    dim = args[0] if args else options.get("dim", options.get("axis", 0))
    usual = options.keys() <= {"dim", "axis"} and len(args) + len(options) < 2
    alike = len({(each.dtype, each.ndim) for each in tensors}) == 1
    plain = not usual or len(tensors) < 2 or not alike or not torch.is_grad_enabled()
    # torch concatenates an empty vector with a tensor of any shape, which slices cannot undo
    if plain or not tensors[0].is_floating_point() or any(not each.numel() for each in tensors):
        return func(tensors, *args, **options)
    return _Concatenate.apply(dim, *tensors)


class _Concatenate(torch.autograd.Function):
    @staticmethod
    def forward(ctx, dim, *tensors):
        ctx.dim, ctx.sizes = dim, [each.shape[dim] for each in tensors]
        return torch.cat(tensors, dim)

    @staticmethod
    def backward(ctx, gy):
        if torch.is_grad_enabled():
            return None, *_Split.apply(gy, ctx.sizes, ctx.dim)
        return None, *gy.split(ctx.sizes, ctx.dim)


class _Split(torch.autograd.Function):
    @staticmethod
    def forward(ctx, gy, sizes, dim):
        ctx.dim = dim
        return gy.split(sizes, dim)

    @staticmethod
    def backward(ctx, *gradients):
        return torch.cat(gradients, ctx.dim), None, None
