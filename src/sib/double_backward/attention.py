"""Attention and softmax whose second derivative takes few passes over memory.

Attention is P v with P = softmax(s q kᵀ). For P = softmax(x) the VJP is gx = P (g − m(g)), where
m(g) = Σ g P is a sum over a row. If u is the gradient that arrives at gx:

    gradient of g:  P (u − m(u))                    the ordinary backward kernel, applied to u
    gradient of P:  u (g − m(g)) − g m(u)

The latter is added to what P receives from the rest of the graph, and passes the backward kernel
with it. In attention gx leads to gq = s gx k and gk = s gxᵀ q. If a and b arrive there:

    u = s (a kᵀ + q bᵀ),    gradient of q:  s gx b,    gradient of k:  s gxᵀ a

gx is recomputed, so that of the places × places tensors only P and g are kept. torch composes the
same from twice as many passes, and checks every row of attention for being masked as a whole.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sib.double_backward.grad_is_needed import grad_is_needed

_aten = torch.ops.aten


def scaled_dot_product_attention(
    scope: Any,
    func: Callable[..., Tensor],
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Replaces ``F.scaled_dot_product_attention`` without a mask or dropout."""
    special = attn_mask is not None or dropout_p > 0 or is_causal or enable_gqa
    batch = query.shape[:-2]
    alike = query.ndim > 2 and all(
        each.dtype == query.dtype and each.shape[:-2] == batch and each.numel() > 0
        for each in (key, value)
    )
    if special or not alike or _is_left_to_torch(query):
        return func(
            query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa
        )
    q, k, v = (each.reshape(-1, *each.shape[-2:]) for each in (query, key, value))
    p = _Attention.apply(q, k, q.shape[-1] ** -0.5 if scale is None else scale)
    return (p @ v).view(*batch, *query.shape[-2:-1], v.shape[-1])


def softmax(
    scope: Any,
    func: Callable[..., Tensor],
    input: Tensor,
    *args: Any,
    **options: Any,
) -> Tensor:
    """Replaces ``torch.softmax`` and ``F.softmax`` where the result has the type of the input."""
    dim = args[0] if args else options.get("dim")
    usual = len(args) < 2 and options.keys() <= {"dim", "dtype", "_stacklevel"}
    alike = options.get("dtype") in (None, input.dtype)
    if not isinstance(dim, int) or not usual or not alike or _is_left_to_torch(input):
        return func(input, *args, **options)
    return _Softmax.apply(input, dim)


def _is_left_to_torch(input: Tensor) -> bool:
    plain = not torch.is_grad_enabled() or input.numel() == 0
    # torch computes the products of half precision in float32
    exact = input.dtype in (torch.float32, torch.float64)
    return plain or not exact or torch.is_autocast_enabled(input.device.type)


class _Softmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, dim):
        p = torch.softmax(x, dim)
        ctx.save_for_backward(p)
        ctx.dim = dim
        return p

    @staticmethod
    def backward(ctx, g):
        (p,) = ctx.saved_tensors
        if torch.is_grad_enabled():
            return _SoftmaxVJP.apply(g, p, ctx.dim), None
        return _kernel(g, p, ctx.dim), None


class _SoftmaxVJP(torch.autograd.Function):
    """gx as a function of g and P."""

    @staticmethod
    def forward(ctx, g, p, dim):
        ctx.save_for_backward(g, p)
        ctx.dim = dim
        return _kernel(g, p, dim)

    @staticmethod
    @once_differentiable
    def backward(ctx, u):
        g, p = ctx.saved_tensors
        of_g = _kernel(u, p, ctx.dim) if grad_is_needed(ctx, 0) else None
        return of_g, _second(u, g, p, ctx.dim) if grad_is_needed(ctx, 1) else None, None


class _Attention(torch.autograd.Function):
    """P = softmax(s q kᵀ) of q (B, N, d) and k (B, M, d)."""

    @staticmethod
    def forward(ctx, q, k, scale):
        p = torch.softmax((q * scale) @ k.mT, -1)
        ctx.save_for_backward(q, k, p)
        ctx.scale = scale
        return p

    @staticmethod
    def backward(ctx, g):
        q, k, p = ctx.saved_tensors
        if torch.is_grad_enabled():
            return *_AttentionVJP.apply(g, p, q, k, ctx.scale), None
        gx = _kernel(g, p, -1)
        return gx @ (k * ctx.scale), gx.mT @ (q * ctx.scale), None


class _AttentionVJP(torch.autograd.Function):
    """gq and gk as functions of g, P, q and k."""

    @staticmethod
    def forward(ctx, g, p, q, k, scale):
        ctx.save_for_backward(g, p, q, k)
        ctx.scale = scale
        gx = _kernel(g, p, -1)
        return gx @ (k * scale), gx.mT @ (q * scale)

    @staticmethod
    @once_differentiable
    def backward(ctx, a, b):
        g, p, q, k = ctx.saved_tensors
        a, b = a * ctx.scale, b * ctx.scale
        gx = _kernel(g, p, -1)
        gq, gk = gx @ b, gx.mT @ a
        del gx
        u = torch.baddbmm(a @ k.mT, q, b.mT)
        return _kernel(u, p, -1), _second(u, g, p, -1), gq, gk, None


def _second(u: Tensor, g: Tensor, p: Tensor, dim: int) -> Tensor:
    """u (g − m(g)) − g m(u)."""
    product = g * p
    mean_g = product.sum(dim, keepdim=True)
    mean_u = torch.mul(u, p, out=product).sum(dim, keepdim=True)
    return torch.sub(g, mean_g, out=product).mul_(u).addcmul_(g, mean_u, value=-1)


def _kernel(g: Tensor, p: Tensor, dim: int) -> Tensor:
    """P (g − m(g))."""
    return _aten._softmax_backward_data(g, p, dim, p.dtype)


REPLACEMENTS: dict[Any, Callable[..., Tensor]] = {
    torch.nn.functional.scaled_dot_product_attention: scaled_dot_product_attention,
    torch.nn.functional.softmax: softmax,
    torch.softmax: softmax,
    Tensor.softmax: softmax,
}
