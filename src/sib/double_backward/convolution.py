"""2-D convolution whose second derivative uses the ordinary kernels.

For y = x ∗ w the images' VJP is gx = gyᵀ∗ w. If v is the gradient that arrives at gx, the gradient
of gy is v ∗ w, and that of w is the weight gradient of an ordinary convolution with input v. torch
computes the latter as a convolution with batch and channels exchanged, which is slower on every
backend.

On a CPU, two of torch's kernels are slow, and others take their place:

- The gradient of the input of a convolution with a kernel of one pixel is computed as a matrix
  product.
- The weight gradient of a depthwise convolution takes oneDNN several times as long if the kernel
  has more than three columns. It is computed three columns at a time: column j is the weight
  gradient of a convolution with one column, whose input is x moved by j.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from sib.double_backward.grad_is_needed import grad_is_needed

_aten = torch.ops.aten
_FAST_COLUMNS = 3
"""The most columns of a depthwise kernel for which oneDNN's weight gradient is fast."""


class Geometry(NamedTuple):
    """Stride, padding and dilation of both axes, and the number of groups."""

    stride: list[int]
    padding: list[int]
    dilation: list[int]
    groups: int

    def forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """y = x ∗ w + b."""
        stride, padding, dilation, groups = self
        return torch.convolution(x, weight, bias, stride, padding, dilation, False, [0, 0], groups)

    def backward(
        self, gy: Tensor, x: Tensor, weight: Tensor, mask: list[bool]
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Gradients of x, w and b; None where ``mask`` is False."""
        gx: Tensor | None = None
        gw: Tensor | None = None
        gb: Tensor | None = None
        if mask[0] and self._is_matrix_product(gy, x, weight):
            gx = _transposed_product(weight, gy)
        if mask[1] and self._has_slow_weight_gradient(x, weight):
            gw = self._weight_gradient(gy, x, weight)
        rest = [mask[0] and gx is None, mask[1] and gw is None, mask[2]]
        if any(rest):
            found = self._backward(gy, x, weight, rest)
            gb = found[2]
            gx = found[0] if gx is None else gx
            gw = found[1] if gw is None else gw
        return gx, gw, gb

    def _backward(
        self, gy: Tensor, x: Tensor, weight: Tensor, mask: list[bool]
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        stride, padding, dilation, groups = self
        bias = [weight.shape[0]] if mask[2] else None
        return _aten.convolution_backward(
            gy, x, weight, bias, stride, padding, dilation, False, [0, 0], groups, mask
        )

    def _is_matrix_product(self, gy: Tensor, x: Tensor, weight: Tensor) -> bool:
        """Whether gx is a product of matrices: each of its pixels depends on one of gy."""
        pointwise = weight.shape[2:] == (1, 1) and self[:2] == ([1, 1], [0, 0])
        plain = x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64)
        return pointwise and self.groups == 1 and plain and gy.is_contiguous() and x.is_contiguous()

    def _has_slow_weight_gradient(self, x: Tensor, weight: Tensor) -> bool:
        depthwise = self.groups == x.shape[1] == weight.shape[0]
        dense = self.dilation[1] == 1 and x.numel() > 0
        onednn = x.device.type == "cpu" and x.dtype in (torch.float32, torch.bfloat16)
        wide = weight.shape[3] > _FAST_COLUMNS
        return wide and depthwise and dense and onednn and torch.backends.mkldnn.is_available()

    def _weight_gradient(self, gy: Tensor, x: Tensor, weight: Tensor) -> Tensor:
        """The gradient of w, three of its columns at a time."""
        rows, columns = self.padding
        x, kernel = F.pad(x, (columns, columns)), self._replace(padding=[rows, 0])
        last = (gy.shape[3] - 1) * self.stride[1]  # where the last window begins
        found: list[Any] = []
        for part in weight.split(_FAST_COLUMNS, 3):
            first = len(found) * _FAST_COLUMNS
            moved = x[..., first : first + last + part.shape[3]]
            found.append(kernel._backward(gy, moved, part, [False, True, False])[1])
        return torch.cat(found, 3)


def conv2d(
    scope: Any,
    func: Callable[..., Tensor],
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int, ...] = 1,
    padding: int | str | tuple[int, ...] = 0,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
) -> Tensor:
    """Replaces ``torch.conv2d`` inside `sib.second_order`."""
    plain = input.ndim != 4 or not input.is_floating_point() or not torch.is_grad_enabled()
    autocast = torch.is_autocast_enabled(input.device.type)
    # autocast leaves float64 alone
    if plain or isinstance(padding, str) or (autocast and input.dtype == torch.float64):
        return func(input, weight, bias, stride, padding, dilation, groups)
    geometry = Geometry(_pair(stride), _pair(padding), _pair(dilation), groups)
    if autocast:
        dtype = torch.get_autocast_dtype(input.device.type)
        input, weight = input.to(dtype), weight.to(dtype)
        bias = None if bias is None else bias.to(dtype)
    return _Convolution.apply(
        input, weight, bias, geometry, scope if input is scope.images else None
    )


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias, geometry, scope_of_images):
        ctx.save_for_backward(x, weight)
        ctx.geometry, ctx.scope_of_images = geometry, scope_of_images
        with torch.autocast(x.device.type, enabled=False):
            return geometry.forward(x, weight, bias)

    @staticmethod
    def backward(ctx, gy):
        x, weight = ctx.saved_tensors
        mask = [grad_is_needed(ctx, index) for index in range(3)]
        if ctx.scope_of_images is not None and ctx.scope_of_images.images_done:
            mask[0] = False
        with torch.autocast(x.device.type, enabled=False):
            if torch.is_grad_enabled() and mask == [True, False, False]:
                gx, gw, gb = _InputGradient.apply(gy, weight, ctx.geometry, [x]), None, None
            else:
                gx, gw, gb = ctx.geometry.backward(gy, x, weight, mask)
        return gx, gw, gb, None, None


class _InputGradient(torch.autograd.Function):
    """gx as a function of gy and w; x is passed in a list, since only its shape matters."""

    @staticmethod
    def forward(ctx, gy, weight, geometry, x):
        ctx.save_for_backward(gy, weight)
        ctx.geometry = geometry
        return geometry.backward(gy, x[0], weight, [True, False, False])[0]

    @staticmethod
    def backward(ctx, v):
        gy, weight = ctx.saved_tensors
        with torch.autocast(v.device.type, enabled=False):
            ggy = ctx.geometry.forward(v, weight, None) if grad_is_needed(ctx, 0) else None
            gw = None
            if grad_is_needed(ctx, 1):
                gw = ctx.geometry.backward(gy, v, weight, [False, True, False])[1]
        return ggy, gw, None, None


def _transposed_product(weight: Tensor, gy: Tensor) -> Tensor:
    """gx of a convolution with a kernel of one pixel."""
    matrix = weight.flatten(1).t().expand(len(gy), -1, -1)
    return torch.bmm(matrix, gy.flatten(2)).unflatten(2, gy.shape[2:])


def _pair(value: int | tuple[int, ...]) -> list[int]:
    if isinstance(value, int):
        return [value, value]
    return list(value) * (2 // len(value))
