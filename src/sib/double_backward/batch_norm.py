"""Batch norm in train mode whose gradient's gradient takes a few passes over memory.

With x̂ = r(x − μ), r = 1/√(σ² + ε), m the mean over batch and pixels of a channel, and
P u = u − m(u) − x̂ m(u x̂), the VJP of y = γ x̂ + β is gx = γ r P gy. P is symmetric, so for v
arriving at gx, with ℓ = r Σ v · P gy (per channel):

    gradient of gy:  γ r P v                    the ordinary backward kernel, applied to v
    gradient of γ:   ℓ
    gradient of x:   −r m(gy x̂) · (γ r P v) − r m(v x̂) · gx − γ ℓ r x̂ / N

torch composes the same from about thirty elementwise operations.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sib.double_backward.grad_is_needed import grad_is_needed

_aten = torch.ops.aten


def batch_norm(
    scope: Any,
    func: Callable[..., Tensor],
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Stands in for ``torch.nn.functional.batch_norm`` inside `sib.second_order`."""
    plain = not training or not torch.is_grad_enabled() or input.ndim < 3
    if plain or input.shape[0] * input[0, 0].numel() < 2:
        # evaluation mode is a cheap affine map, and torch's own call words the refusals
        return func(input, running_mean, running_var, weight, bias, training, momentum, eps)
    return _BatchNorm.apply(input, weight, bias, [running_mean, running_var], momentum, eps)


class _BatchNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias, running, momentum, eps):
        y, mean, inverse = _aten.native_batch_norm(
            x, weight, bias, running[0], running[1], True, momentum, eps
        )
        ctx.save_for_backward(x, weight, mean, inverse)
        ctx.eps = eps
        return y

    @staticmethod
    def backward(ctx, gy):
        x, weight, mean, inverse = ctx.saved_tensors
        mask = [grad_is_needed(ctx, index) for index in range(3)]
        if torch.is_grad_enabled() and mask == [True, False, False]:
            gx, gw, gb = _InputGradient.apply(gy, x, weight, mean, inverse, ctx.eps), None, None
        else:
            gx, gw, gb = _kernel(gy, x, weight, mean, inverse, ctx.eps, mask)
        return gx, gw, gb, None, None, None


class _InputGradient(torch.autograd.Function):
    """gx as a function of gy, x and γ, through which μ and r are also functions of x."""

    @staticmethod
    def forward(ctx, gy, x, weight, mean, inverse, eps):
        gx, gy_xhat, gy_sum = _kernel(gy, x, weight, mean, inverse, eps, [True, True, True])
        ctx.save_for_backward(gy, x, weight, mean, inverse, gx, gy_xhat, gy_sum)
        ctx.eps = eps
        return gx

    @staticmethod
    @once_differentiable
    def backward(ctx, v):
        gy, x, weight, mean, inverse, gx, gy_xhat, gy_sum = ctx.saved_tensors
        count = x.numel() // x.shape[1]
        ggy, v_xhat, v_sum = _kernel(v, x, weight, mean, inverse, ctx.eps, [True, True, True])
        product = _channel_dot(v, gy)
        slope = inverse * (product - v_sum * gy_sum / count - v_xhat * gy_xhat / count)
        scaled = slope if weight is None else slope * weight
        # the last term of gx, κ x + δ with κ = −γ ℓ r² / N and δ = −κ μ
        kappa = -scaled * inverse.square() / count
        result = _affine(x, kappa, -kappa * mean)
        result.addcmul_(ggy, _as_channels(-inverse * gy_xhat / count, x))
        result.addcmul_(gx, _as_channels(-inverse * v_xhat / count, x))
        return ggy, result, None if weight is None else slope.to(weight.dtype), None, None, None


def _kernel(
    gy: Tensor,
    x: Tensor,
    weight: Tensor | None,
    mean: Tensor,
    inverse: Tensor,
    eps: float,
    mask: list[bool],
) -> tuple[Tensor, Tensor, Tensor]:
    """γ r P gy, Σ gy x̂ and Σ gy."""
    if weight is None and any(mask[1:]):  # CUDA's kernels make these sums of the weight's kind
        weight = torch.ones_like(mean)
    return _aten.native_batch_norm_backward(
        gy, x, weight, None, None, mean, inverse, True, eps, mask
    )


def _channel_dot(a: Tensor, b: Tensor) -> Tensor:
    """Σ a b per channel in one pass: the kernel's Σ gy x̂ with μ = 0 and r = 1."""
    zeros = a.new_zeros(a.shape[1], dtype=_statistics_dtype(a))
    return _kernel(a, b, None, zeros, zeros + 1, 0.0, [False, True, False])[1]


def _affine(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """scale · x + shift per channel in one pass: batch norm in evaluation mode."""
    zeros = torch.zeros_like(scale)
    return _aten.native_batch_norm(x, scale, shift, zeros, zeros + 1, False, 0.0, 0.0)[0]


def _statistics_dtype(tensor: Tensor) -> torch.dtype:
    return torch.float32 if tensor.dtype in (torch.float16, torch.bfloat16) else tensor.dtype


def _as_channels(values: Tensor, x: Tensor) -> Tensor:
    return values.to(x.dtype).view(1, -1, *[1] * (x.ndim - 2))
