"""Batch norm whose second derivative takes only a few passes over memory.

In train mode, with x̂ = r(x − μ), r = 1/√(σ² + ε), m the mean over batch and pixels of a channel,
and P u = u − m(u) − x̂ m(u x̂), the VJP of y = γ x̂ + β is gx = γ r P gy. P is symmetric. So if v is
the gradient that arrives at gx, with ℓ = r Σ v · P gy (per channel):

    gradient of gy:  γ r P v                    the ordinary backward kernel, applied to v
    gradient of γ:   ℓ
    gradient of x:   −r m(gy x̂) · (γ r P v) − r m(v x̂) · gx − γ ℓ r x̂ / N

The last one is A v + B gy + C x + D, with four numbers per channel. With a = m(gy x̂) and
b = m(v x̂), A = −γ r² a, B = −γ r² b, C = r c, D = γ r² (a m(v) + b m(gy)) − μ C, where
c = γ r (2 a b r − ℓ / N). So gx need not be kept.

In evaluation mode μ and r are constants: gx = γ r gy, and

    gradient of gy:  γ r v
    gradient of γ:   r Σ v · gy

torch composes these gradients from about thirty elementwise operations in train mode and ten in
evaluation mode.
"""

import warnings
from collections.abc import Callable
from functools import cache
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
    plain = not torch.is_grad_enabled() or input.ndim < 3 or input.numel() == 0
    if not plain and not training and running_mean is not None and running_var is not None:
        return _FrozenBatchNorm.apply(input, weight, bias, running_mean, running_var, eps)
    if plain or not training or input.shape[0] * input[0, 0].numel() < 2:
        return func(input, running_mean, running_var, weight, bias, training, momentum, eps)
    return _BatchNorm.apply(input, weight, bias, [running_mean, running_var], momentum, eps)


class _BatchNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias, running, momentum, eps):
        y, mean, inverse = _forward_kernel(x, weight, bias)(
            x, weight, bias, running[0], running[1], True, momentum, eps
        )[:3]
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
        gy = _laid_out_as(gy, x)
        gx, gy_xhat, gy_sum = _kernel(gy, x, weight, mean, inverse, eps, [True, True, True])
        ctx.save_for_backward(gy, x, weight, mean, inverse, gy_xhat, gy_sum)
        ctx.eps = eps
        return gx

    @staticmethod
    @once_differentiable
    def backward(ctx, v):
        gy, x, weight, mean, inverse, gy_xhat, gy_sum = ctx.saved_tensors
        kernels = _kernels_for(x)
        if kernels is not None:
            v, gamma = _laid_out_as(v, x), torch.ones_like(mean) if weight is None else weight
            sums_gy = torch.stack([gy_sum, gy_xhat])
            sums_v = kernels.sums(v, x, mean, inverse, gy)
            *found, slope = kernels.second(v, gy, x, gamma, mean, inverse, sums_gy, sums_v)
            return *found, None if weight is None else slope.to(weight.dtype), None, None, None
        count = x.numel() // x.shape[1]
        ggy, v_xhat, v_sum = _kernel(v, x, weight, mean, inverse, ctx.eps, [True, True, True])
        slope = inverse * (channel_dot(v, gy) - (v_sum * gy_sum + v_xhat * gy_xhat) / count)
        scale = inverse if weight is None else inverse * weight
        a, b, each = gy_xhat / count, v_xhat / count, scale * inverse
        of_x = each * (2 * a * b * inverse - slope / count)
        shift = each * (a * v_sum + b * gy_sum) / count - mean * of_x
        result = _affine(x, of_x, shift)
        result.addcmul_(v, _as_channels(-each * a, x))
        result.addcmul_(gy, _as_channels(-each * b, x))
        return ggy, result, None if weight is None else slope.to(weight.dtype), None, None, None


class _FrozenBatchNorm(torch.autograd.Function):
    """y = γ r (x − μ) + β with constant μ and r."""

    @staticmethod
    def forward(ctx, x, weight, bias, mean, variance, eps):
        # only the gradient of γ needs x
        ctx.save_for_backward(x if ctx.needs_input_grad[1] else None, weight, mean, variance)
        ctx.eps = eps
        cudnn = torch.backends.cudnn.enabled
        return torch.batch_norm(x, weight, bias, mean, variance, False, 0.0, eps, cudnn)

    @staticmethod
    def backward(ctx, gy):
        x, weight, mean, variance = ctx.saved_tensors
        mask = [grad_is_needed(ctx, index) for index in range(3)]
        inverse = (variance + ctx.eps).rsqrt()
        if mask[1]:
            found = _frozen_kernel(gy, x, weight, mean, variance, inverse, ctx.eps, mask)
            return *found, None, None, None
        gx = _FrozenInputGradient.apply(gy, weight, inverse) if mask[0] else None
        gb = gy.sum([axis for axis in range(gy.ndim) if axis != 1]) if mask[2] else None
        return gx, None, gb, None, None, None


class _FrozenInputGradient(torch.autograd.Function):
    """gx = γ r gy as a function of gy and γ."""

    @staticmethod
    def forward(ctx, gy, weight, inverse):
        ctx.save_for_backward(gy if ctx.needs_input_grad[1] else None, weight, inverse)
        return _scaled(gy, weight, inverse)

    @staticmethod
    @once_differentiable
    def backward(ctx, v):
        gy, weight, inverse = ctx.saved_tensors
        ggy = _scaled(v, weight, inverse) if grad_is_needed(ctx, 0) else None
        slope = (inverse * channel_dot(v, gy)).to(weight.dtype) if grad_is_needed(ctx, 1) else None
        return ggy, slope, None


def _frozen_kernel(
    gy: Tensor,
    x: Tensor,
    weight: Tensor,
    mean: Tensor,
    variance: Tensor,
    inverse: Tensor,
    eps: float,
    mask: list[bool],
) -> tuple[Tensor | None, Tensor, Tensor]:
    """γ r gy, Σ gy x̂ and Σ gy. On CUDA torch's own kernel is slow, and fails for channels last."""
    if not x.is_cuda:
        gx, gw, gb = _aten.native_batch_norm_backward(
            gy, x, weight, mean, variance, None, None, False, eps, mask
        )
        return gx, gw, gb
    kernels = _kernels_for(x)
    if kernels is not None:
        gy_sum, gy_xhat, _ = kernels.sums(_laid_out_as(gy, x), x, mean, inverse)
    else:
        axes = [axis for axis in range(x.ndim) if axis != 1]
        gy_sum = gy.sum(axes)
        gy_xhat = (gy * (x - _as_channels(mean, x))).sum(axes) * inverse
    gx = _scaled(gy, weight, inverse) if mask[0] else None
    return gx, gy_xhat.to(weight.dtype), gy_sum.to(weight.dtype)


def _scaled(gradient: Tensor, weight: Tensor | None, inverse: Tensor) -> Tensor:
    """γ r · gradient per channel."""
    scale = inverse if weight is None else weight * inverse
    if gradient.is_cuda:
        factors = scale.view(1, -1, *[1] * (gradient.ndim - 2))
        return torch.mul(gradient, factors, out=torch.empty_like(gradient))
    return _affine(gradient, scale, torch.zeros_like(scale))


def _kernel(
    gy: Tensor,
    x: Tensor,
    weight: Tensor | None,
    mean: Tensor,
    inverse: Tensor,
    eps: float,
    mask: list[bool],
) -> tuple[Tensor | None, Tensor, Tensor]:
    """γ r P gy, Σ gy x̂ and Σ gy."""
    kernels = _kernels_for(x)
    if kernels is not None:
        gy, gamma = _laid_out_as(gy, x), torch.ones_like(mean) if weight is None else weight
        found = kernels.sums(gy, x, mean, inverse)
        gx = kernels.first(gy, x, gamma, mean, inverse, found) if mask[0] else None
        return gx, found[1], found[0]
    if weight is None and any(mask[1:]):  # CUDA's kernels take the type of these sums from weight
        weight = torch.ones_like(mean)
    return _aten.native_batch_norm_backward(
        gy, x, weight, None, None, mean, inverse, True, eps, mask
    )


def channel_dot(a: Tensor, b: Tensor) -> Tensor:
    """Σ a b per channel in one pass: the kernel's Σ gy x̂ with μ = 0 and r = 1."""
    zeros = a.new_zeros(a.shape[1], dtype=_statistics_dtype(a))
    return _kernel(a, b, None, zeros, zeros + 1, 0.0, [False, True, False])[1]


def _affine(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """scale · x + shift per channel in one pass: batch norm in evaluation mode."""
    zeros = torch.zeros_like(scale)
    return _aten.native_batch_norm(x, scale, shift, zeros, zeros + 1, False, 0.0, 0.0)[0]


def _forward_kernel(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Callable[..., Any]:
    """The one that ``torch.nn.functional.batch_norm`` would take in train mode."""
    fits = _on_cuda(x) and x.dtype in (torch.float32, torch.float16) and x.is_contiguous()
    affine = all(each is not None and each.dtype == torch.float32 for each in (weight, bias))
    cudnn = fits and affine and torch.backends.cudnn.enabled and x.shape[0] <= 880_801
    return _aten.cudnn_batch_norm if cudnn else _aten.native_batch_norm


def _kernels_for(x: Tensor) -> Any:
    """The module of our own kernels where they can be used, else None."""
    if not _on_cuda(x) or x.dtype not in (torch.float32, torch.float16, torch.bfloat16):
        return None
    format = torch.channels_last if x.ndim == 4 else torch.contiguous_format
    dense = x.is_contiguous() or x.is_contiguous(memory_format=format)
    return _triton_kernels() if dense else None


def _on_cuda(x: Tensor) -> bool:
    """Whether a tensor is on a GPU of NVIDIA's; torch calls AMD's by the same name."""
    return x.is_cuda and torch.version.hip is None


@cache
def _triton_kernels() -> Any:
    try:
        from sib.double_backward import batch_norm_triton
    except ImportError:  # Triton comes with torch's builds for Linux and CUDA only
        return None
    try:
        batch_norm_triton.try_out()
    except Exception as error:  # whatever a compiler raises: torch's kernels are right, too
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        warnings.warn(
            "batch norm computes its derivatives with torch's kernels, which are slower, since its "
            f"own cannot be built here (Triton needs a C compiler): {reason}",
            stacklevel=2,
        )
        return None
    return batch_norm_triton


def _laid_out_as(gradient: Tensor, x: Tensor) -> Tensor:
    """The gradient with the strides of x."""
    if gradient.stride() == x.stride():
        return gradient
    return torch.empty_like(x, dtype=gradient.dtype).copy_(gradient)


def _statistics_dtype(tensor: Tensor) -> torch.dtype:
    return torch.float32 if tensor.dtype in (torch.float16, torch.bfloat16) else tensor.dtype


def _as_channels(values: Tensor, x: Tensor) -> Tensor:
    return values.to(x.dtype).view(1, -1, *[1] * (x.ndim - 2))
