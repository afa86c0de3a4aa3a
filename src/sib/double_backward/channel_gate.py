"""The product of a map and one factor per channel, as in squeeze-excitation.

For y = x s, with s of shape (B, C, 1, 1), the VJP is gx = gy s and gs = Σ gy x over the pixels of a
channel. If v arrives at gx and u at gs:

    gradient of gy:  v s + u x
    gradient of x:   u gy
    gradient of s:   Σ v gy

torch writes each of these products to memory before it adds or sums it. That is replaced on a CPU,
and for maps that are large enough for memory to be what takes the time.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sib.double_backward.batch_norm import channel_dot
from sib.double_backward.grad_is_needed import grad_is_needed

_KINDS = (torch.float32, torch.float64, torch.bfloat16)
_LARGE = 2**18
"""The numbers from which on a map counts as large."""


def multiply(scope: Any, func: Callable[..., Tensor], *args: Any, **options: Any) -> Tensor:
    """Replaces ``torch.mul`` inside `sib.second_order`; other products are left to torch."""
    if len(args) == 2 and not options and torch.is_grad_enabled():
        first, second = args
        if _is_gate(second, of=first):
            return _ChannelGate.apply(first, second)
        if _is_gate(first, of=second):
            return _ChannelGate.apply(second, first)
    return func(*args, **options)


def _is_gate(factor: Any, of: Any) -> bool:
    """Whether ``of`` is a large map (B, C, …) and ``factor`` is (B, C, 1, …)."""
    if not isinstance(factor, Tensor) or not isinstance(of, Tensor) or of.numel() < _LARGE:
        return False
    shape = (*of.shape[:2], *[1] * (of.ndim - 2))
    if of.ndim < 3 or factor.shape != shape or of.shape == shape or of.device.type != "cpu":
        return False
    alike = factor.dtype == of.dtype and of.dtype in _KINDS
    return alike and factor.requires_grad and of.requires_grad


class _ChannelGate(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, s):
        ctx.save_for_backward(x, s)
        return x * s

    @staticmethod
    def backward(ctx, gy):
        x, s = ctx.saved_tensors
        if torch.is_grad_enabled():
            return _ChannelGateVJP.apply(gy, x, s)
        gx = gy * s if grad_is_needed(ctx, 0) else None
        return gx, _pixel_dot(gy, x, s) if grad_is_needed(ctx, 1) else None


class _ChannelGateVJP(torch.autograd.Function):
    """gx and gs as functions of gy, x and s."""

    @staticmethod
    def forward(ctx, gy, x, s):
        ctx.save_for_backward(gy, x, s)
        return gy * s, _pixel_dot(gy, x, s)

    @staticmethod
    @once_differentiable
    def backward(ctx, v, u):
        gy, x, s = ctx.saved_tensors
        ggy = torch.mul(v, s).addcmul_(x, u) if grad_is_needed(ctx, 0) else None
        of_x = gy * u if grad_is_needed(ctx, 1) else None
        return ggy, of_x, _pixel_dot(v, gy, s) if grad_is_needed(ctx, 2) else None


def _pixel_dot(a: Tensor, b: Tensor, gate: Tensor) -> Tensor:
    """Σ a b over the pixels of each channel, in the shape of the gate."""
    if not a.is_contiguous() or not b.is_contiguous():
        return torch.mul(a, b).sum(list(range(2, a.ndim)), keepdim=True)
    sums = channel_dot(a.view(1, gate.numel(), -1), b.view(1, gate.numel(), -1))
    return sums.to(gate.dtype).view(gate.shape)


REPLACEMENTS: dict[Any, Callable[..., Tensor]] = {torch.mul: multiply, Tensor.mul: multiply}
