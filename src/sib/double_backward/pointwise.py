"""Activation functions whose second derivative takes one or two kernels.

For y = f(x) the VJP is gx = f'(x) gy. If v is the gradient that arrives at gx:

    gradient of gy:  f'(x) v          the ordinary backward kernel, applied to v
    gradient of x:   f''(x) gy v

torch composes f'' of SiLU and GELU from ten to twenty elementwise operations, each with memory of
its own. For piecewise linear functions such as ReLU, f'' is 0 almost everywhere. torch allocates
this zero and adds it to the gradient of x; here it is left out.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sib.double_backward.grad_is_needed import grad_is_needed

_aten = torch.ops.aten
# log of 2/√(2π), the factor of GELU's second derivative
_LOG_TWO_DENSITY = math.log(2 / math.sqrt(2 * math.pi))


class Pointwise(NamedTuple):
    """One activation function and its derivatives."""

    compute: Callable[[Tensor], Tensor]
    """f, as torch computes it."""
    compute_in_place: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor, Tensor], Tensor]
    """(g, x) → f'(x) g; (g, y) where the output is kept."""
    curvature: Callable[[Tensor, Tensor], Tensor] | None = None
    """(g, x) → f''(x) g, which may overwrite g; None for a piecewise linear function."""
    keeps_output: bool = False
    """Whether y is kept for the backward pass instead of x, as torch does too. The kept tensor must
    not be changed in place afterwards."""


def relu(scope: Any, func: Callable[..., Tensor], input: Tensor, inplace: bool = False) -> Tensor:
    """Replaces ``F.relu`` inside `sib.second_order`."""
    in_place = inplace or func in (torch.relu_, Tensor.relu_)
    if _is_left_to_torch(input, in_place):
        return func(input, inplace) if inplace else func(input)
    return _apply(input, _RELU, in_place)


def relu6(scope: Any, func: Callable[..., Tensor], input: Tensor, inplace: bool = False) -> Tensor:
    """Replaces ``F.relu6`` inside `sib.second_order`."""
    if _is_left_to_torch(input, inplace):
        return func(input, inplace)
    return _apply(input, _hardtanh(0.0, 6.0, inplace), inplace)


def hardtanh(
    scope: Any,
    func: Callable[..., Tensor],
    input: Tensor,
    min_val: float = -1.0,
    max_val: float = 1.0,
    inplace: bool = False,
) -> Tensor:
    """Replaces ``F.hardtanh`` inside `sib.second_order`."""
    if min_val >= max_val or _is_left_to_torch(input, inplace):
        return func(input, min_val, max_val, inplace)
    return _apply(input, _hardtanh(min_val, max_val, inplace), inplace)


def hardsigmoid(
    scope: Any, func: Callable[..., Tensor], input: Tensor, inplace: bool = False
) -> Tensor:
    """Replaces ``F.hardsigmoid``, whose backward pass cannot be differentiated in torch."""
    if _is_left_to_torch(input, inplace):
        return func(input, inplace)
    return _apply(input, _HARDSIGMOID, inplace)


def hardswish(
    scope: Any, func: Callable[..., Tensor], input: Tensor, inplace: bool = False
) -> Tensor:
    """Replaces ``F.hardswish`` inside `sib.second_order`."""
    if _is_left_to_torch(input, inplace):
        return func(input, inplace)
    return _apply(input, _HARDSWISH, inplace)


def silu(scope: Any, func: Callable[..., Tensor], input: Tensor, inplace: bool = False) -> Tensor:
    """Replaces ``F.silu`` inside `sib.second_order`."""
    if _is_left_to_torch(input, inplace):
        return func(input, inplace)
    return _apply(input, _SILU, inplace)


def gelu(
    scope: Any, func: Callable[..., Tensor], input: Tensor, *, approximate: str = "none"
) -> Tensor:
    """Replaces ``F.gelu`` inside `sib.second_order`; the tanh approximation is left to torch."""
    if approximate != "none" or _is_left_to_torch(input, False):
        return func(input, approximate=approximate)
    return _apply(input, _GELU, False)


def _is_left_to_torch(input: Tensor, in_place: bool) -> bool:
    plain = not torch.is_grad_enabled() or not input.requires_grad or input.numel() == 0
    # torch has the error messages for leaves, and knows how views share their memory
    return plain or (in_place and (input.is_leaf or input._is_view()))


def _apply(input: Tensor, kind: Pointwise, in_place: bool) -> Tensor:
    if kind.curvature is None:
        return _PiecewiseLinear.apply(input, kind, in_place)
    if in_place:  # f' and f'' are computed from the copy, so it needs the input's history
        return _CurvedInPlace.apply(input.clone(), input, kind)
    return _Curved.apply(input, kind)


class _PiecewiseLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, kind, in_place):
        ctx.kind = kind
        if in_place:
            ctx.mark_dirty(x)
        kept = x.clone() if in_place and not kind.keeps_output else x
        y = kind.compute_in_place(x) if in_place else kind.compute(x)
        ctx.save_for_backward(y if kind.keeps_output else kept)
        return y

    @staticmethod
    def backward(ctx, gy):
        (kept,) = ctx.saved_tensors
        if torch.is_grad_enabled():
            return _PiecewiseLinearVJP.apply(gy, kept.detach(), ctx.kind), None, None
        return ctx.kind.slope(gy, kept), None, None


class _PiecewiseLinearVJP(torch.autograd.Function):
    """gx as a linear function of gy; constant in x almost everywhere."""

    @staticmethod
    def forward(ctx, gy, kept, kind):
        ctx.kind = kind
        ctx.save_for_backward(kept)
        return kind.slope(gy, kept)

    @staticmethod
    def backward(ctx, v):
        (kept,) = ctx.saved_tensors
        if torch.is_grad_enabled():
            return _PiecewiseLinearVJP.apply(v, kept, ctx.kind), None, None
        return ctx.kind.slope(v, kept), None, None


class _Curved(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, kind):
        ctx.kind = kind
        ctx.save_for_backward(x)
        return kind.compute(x)

    @staticmethod
    def backward(ctx, gy):
        return _vjp(ctx, gy), None


class _CurvedInPlace(torch.autograd.Function):
    @staticmethod
    def forward(ctx, copy, x, kind):
        ctx.kind = kind
        ctx.mark_dirty(x)
        ctx.save_for_backward(copy)
        return kind.compute_in_place(x)

    @staticmethod
    def backward(ctx, gy):
        return _vjp(ctx, gy), None, None


def _vjp(ctx: Any, gy: Tensor) -> Tensor:
    (x,) = ctx.saved_tensors
    if torch.is_grad_enabled():
        return _CurvedVJP.apply(gy, x, ctx.kind)
    return ctx.kind.slope(gy, x)


class _CurvedVJP(torch.autograd.Function):
    """gx as a function of gy and x."""

    @staticmethod
    def forward(ctx, gy, x, kind):
        ctx.kind = kind
        ctx.save_for_backward(gy, x)
        return kind.slope(gy, x)

    @staticmethod
    @once_differentiable
    def backward(ctx, v):
        gy, x = ctx.saved_tensors
        of_gy = ctx.kind.slope(v, x) if grad_is_needed(ctx, 0) else None
        if not grad_is_needed(ctx, 1):
            return of_gy, None, None
        if x.dtype in (torch.float16, torch.bfloat16):
            product = ctx.kind.curvature(v.float() * gy.float(), x.float()).to(x.dtype)
        else:
            product = ctx.kind.curvature(v * gy, x)
        return of_gy, product, None


def _silu_curvature(g: Tensor, x: Tensor) -> Tensor:
    """g s (1 − s) (2 + x (1 − 2 s)), s = sigmoid(x)."""
    s = torch.sigmoid(x)
    g = _aten.sigmoid_backward.grad_input(g, s, grad_input=g)
    return torch.addcmul(x, x, s, value=-2, out=s).add_(2).mul_(g)


def _gelu_curvature(g: Tensor, x: Tensor) -> Tensor:
    """g φ(x) (2 − x²), φ the density of the standard normal distribution."""
    squares = x.square()
    factor = torch.rsub(squares, _LOG_TWO_DENSITY, alpha=0.5).exp_()
    return torch.addcmul(factor, factor, squares, value=-0.5, out=factor).mul_(g)


def _hardswish_curvature(g: Tensor, x: Tensor) -> Tensor:
    """g / 3 where |x| < 3."""
    return _aten.hardtanh_backward.grad_input(g.div_(3), x, -3.0, 3.0, grad_input=g)


def _hardtanh(low: float, high: float, in_place: bool) -> Pointwise:
    return Pointwise(
        lambda x: _aten.hardtanh(x, low, high),
        lambda x: _aten.hardtanh_(x, low, high),
        # the output lies on the same side of each bound as the input
        lambda g, kept: _aten.hardtanh_backward(g, kept, low, high),
        keeps_output=in_place,
    )


_RELU = Pointwise(
    torch.relu,
    torch.relu_,
    lambda g, y: _aten.threshold_backward(g, y, 0),
    keeps_output=True,
)
_HARDSIGMOID = Pointwise(
    _aten.hardsigmoid,
    _aten.hardsigmoid_,
    # torch's own kernel computes 1 / 6 in float32, even for float64
    lambda g, x: _aten.hardtanh_backward(g, x, -3.0, 3.0).div_(6),
)
_HARDSWISH = Pointwise(
    _aten.hardswish,
    _aten.hardswish_,
    _aten.hardswish_backward,
    _hardswish_curvature,
)
_SILU = Pointwise(_aten.silu, _aten.silu_, _aten.silu_backward, _silu_curvature)
_GELU = Pointwise(_aten.gelu, _aten.gelu_, _aten.gelu_backward, _gelu_curvature)

REPLACEMENTS: dict[Any, Callable[..., Tensor]] = {
    torch.nn.functional.relu: relu,
    torch.relu: relu,
    torch.relu_: relu,
    Tensor.relu: relu,
    Tensor.relu_: relu,
    torch.nn.functional.relu6: relu6,
    torch.nn.functional.hardtanh: hardtanh,
    torch.nn.functional.hardsigmoid: hardsigmoid,
    torch.nn.functional.hardswish: hardswish,
    torch.nn.functional.silu: silu,
    torch.nn.functional.gelu: gelu,
}
