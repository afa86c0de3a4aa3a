"""Layer norm whose second derivative is composed of few operations.

With x̂ = r(x − μ), r = 1/√(σ² + ε), m the mean over the normalised dimensions, u = γ gy and
P u = u − m(u) − x̂ m(u x̂), the VJP of y = γ x̂ + β is gx = r P u. P is symmetric. So if v is the
gradient that arrives at gx, with w = r P v:

    gradient of gy:  γ w                 w is the ordinary backward kernel, applied to v
    gradient of γ:   Σ gy w              over all rows
    gradient of x:   −r m(u x̂) w − r m(v x̂) gx − r m(v gx) x̂
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sib.double_backward.grad_is_needed import grad_is_needed

_aten = torch.ops.aten


def layer_norm(
    scope: Any,
    func: Callable[..., Tensor],
    input: Tensor,
    normalized_shape: list[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Replaces ``torch.nn.functional.layer_norm`` inside `sib.second_order`."""
    shape = list(normalized_shape)
    fits = list(input.shape[-len(shape) :]) == shape and input.is_floating_point()
    plain = not torch.is_grad_enabled() or not input.requires_grad or input.numel() == 0
    if plain or not fits:
        return func(input, normalized_shape, weight, bias, eps)
    if torch.is_autocast_enabled(input.device.type):  # casts to the type that autocast would use
        empty = input.detach().new_empty((0, *shape))
        input = input.to(func(empty, normalized_shape, weight, bias, eps).dtype)
    kinds = {each.dtype for each in (weight, bias) if each is not None}
    if not kinds <= {input.dtype}:
        return func(input, normalized_shape, weight, bias, eps)
    # otherwise the kernels would copy it each time
    return _LayerNorm.apply(input.contiguous(), weight, bias, shape, eps)


class _LayerNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias, shape, eps):
        y, mean, inverse = _aten.native_layer_norm(x, shape, weight, bias, eps)
        ctx.save_for_backward(x, weight, bias, mean, inverse)
        ctx.shape = shape
        return y

    @staticmethod
    def backward(ctx, gy):
        x, weight, bias, mean, inverse = ctx.saved_tensors
        mask = [grad_is_needed(ctx, index) for index in range(3)]
        if torch.is_grad_enabled() and mask == [True, False, False]:
            gx = _InputGradient.apply(gy, x, weight, mean, inverse, ctx.shape)
            return gx, None, None, None, None
        gradients = _aten.native_layer_norm_backward(
            gy, x, ctx.shape, mean, inverse, weight, bias, mask
        )
        return *gradients, None, None


class _InputGradient(torch.autograd.Function):
    """gx as a function of gy, x and γ, through which μ and r are also functions of x."""

    @staticmethod
    def forward(ctx, gy, x, weight, mean, inverse, shape):
        ctx.save_for_backward(gy, x, weight, mean, inverse)
        ctx.shape = shape
        return _kernel(gy, x, shape, mean, inverse, weight)

    @staticmethod
    @once_differentiable
    def backward(ctx, v):
        gy, x, weight, mean, inverse = ctx.saved_tensors
        axes = list(range(-len(ctx.shape), 0))
        w = _kernel(v, x, ctx.shape, mean, inverse, None)
        gw = None
        if grad_is_needed(ctx, 2):
            gw = (gy * w).sum(list(range(x.ndim - len(ctx.shape)))).to(weight.dtype)
        ggy = w if weight is None else w * weight
        if not grad_is_needed(ctx, 1):
            return ggy, None, gw, None, None, None
        gx = _kernel(gy, x, ctx.shape, mean, inverse, weight)
        result = torch.sub(x, mean).mul_(inverse)  # x̂
        u = gy if weight is None else gy * weight
        a = (u * result).mean(axes, keepdim=True)
        b = (v * result).mean(axes, keepdim=True)
        c = (v * gx).mean(axes, keepdim=True)
        result.mul_(c).addcmul_(w, a).addcmul_(gx, b).mul_(-inverse)
        return ggy, result.to(x.dtype), gw, None, None, None


def _kernel(
    gradient: Tensor,
    x: Tensor,
    shape: list[int],
    mean: Tensor,
    inverse: Tensor,
    weight: Tensor | None,
) -> Tensor:
    """r P (γ gradient)."""
    return _aten.native_layer_norm_backward(
        gradient, x, shape, mean, inverse, weight, None, [True, False, False]
    )[0]
