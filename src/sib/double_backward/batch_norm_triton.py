"""Kernels for a GPU: the sums and the derivatives of batch norm in train mode.

torch's own kernels give each channel to one block of threads, which leaves most of a GPU idle if
there are few channels, and they pass over memory more often than needed. With the symbols of
`sib.double_backward.batch_norm`, these kernels read v, gy and x twice and write both results once.
All sums are in float32, in a fixed order.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

PROGRAMS = 1024
"""About how many run at a time."""


class Layout:
    """Where a channel's values lie in a dense tensor N × C × places, and who adds them up."""

    def __init__(self, x: Tensor) -> None:
        self.images, self.channels = x.shape[:2]
        self.places = x[0, 0].numel()
        self.rows = self.images * self.places
        self.last = not x.is_contiguous()
        """Channels last in memory."""
        self.strides = (
            (self.channels * self.places, self.channels, 1)
            if self.last
            else (self.channels * self.places, 1, self.places)
        )
        self.tile = (32, 64) if self.last else (2048, 1)
        self.columns = triton.cdiv(self.channels, self.tile[1])
        tiles = triton.cdiv(self.rows, self.tile[0])
        self.splits = max(1, min(tiles, PROGRAMS // self.columns))
        self.each = triton.cdiv(tiles, self.splits) * self.tile[0]
        self.splits = triton.cdiv(self.rows, self.each)

    def arguments(self) -> tuple[int, ...]:
        """What every kernel takes after its tensors."""
        return (self.rows, self.places, self.channels, *self.strides, self.each)

    @property
    def grid(self) -> tuple[int, int]:
        """Programs along channels and rows."""
        return self.columns, self.splits


def try_out() -> None:
    """Raise whatever Triton raises where it cannot build kernels."""
    ones = torch.ones(1, 1, 1, 2, device="cuda")
    sums(ones, ones, ones[0, 0, 0, :1], ones[0, 0, 0, :1])


def sums(a: Tensor, x: Tensor, mean: Tensor, inverse: Tensor, b: Tensor | None = None) -> Tensor:
    """Σ a, Σ a x̂ and Σ a b (0 without b) of each channel: 3 × C, float32."""
    layout = Layout(x)
    parts = x.new_empty(3, layout.splits, layout.channels, dtype=torch.float32)
    with torch.cuda.device_of(x):
        _sums[layout.grid](
            a, a if b is None else b, x, mean, inverse, parts,
            *layout.arguments(), layout.splits, b is not None, *layout.tile,
        )  # fmt: skip
    return parts.sum(1)


def first(
    gy: Tensor, x: Tensor, weight: Tensor, mean: Tensor, inverse: Tensor, sums_gy: Tensor
) -> Tensor:
    """γ r P gy."""
    layout, result = Layout(x), torch.empty_like(x)
    with torch.cuda.device_of(x):
        _first[layout.grid](
            gy, x, weight, mean, inverse, sums_gy, result, *layout.arguments(), *layout.tile
        )
    return result


def second(
    v: Tensor,
    gy: Tensor,
    x: Tensor,
    weight: Tensor,
    mean: Tensor,
    inverse: Tensor,
    sums_gy: Tensor,
    sums_v: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of gy, x and γ for a gradient v of gx."""
    layout = Layout(x)
    of_gy, of_x = torch.empty_like(x), torch.empty_like(x)
    of_weight = torch.empty_like(inverse)
    with torch.cuda.device_of(x):
        _second[layout.grid](
            v, gy, x, weight, mean, inverse, sums_gy, sums_v, of_gy, of_x, of_weight,
            *layout.arguments(), *layout.tile,
        )  # fmt: skip
    return of_gy, of_x, of_weight


@triton.jit
def _tile(row, column, rows, places, channels, stride_n, stride_s, stride_c):
    inside = (row < rows)[:, None] & (column < channels)[None, :]
    image = (row // places).to(tl.int64)
    offset = (image * stride_n + (row % places) * stride_s)[:, None] + (column * stride_c)[None, :]
    return offset, inside


@triton.jit  # type: ignore[untyped-decorator]
def _sums(
    a_ptr, b_ptr, x_ptr, mean_ptr, inverse_ptr, out_ptr,
    rows, places, channels, stride_n, stride_s, stride_c, each, splits,
    HAS_B: tl.constexpr, ROWS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    column = tl.program_id(0) * CHANNELS + tl.arange(0, CHANNELS)
    known = column < channels
    mean = tl.load(mean_ptr + column, known, 0.0).to(tl.float32)[None, :]
    inverse = tl.load(inverse_ptr + column, known, 0.0).to(tl.float32)[None, :]
    of_a = tl.zeros([ROWS, CHANNELS], tl.float32)
    of_ax = tl.zeros([ROWS, CHANNELS], tl.float32)
    of_ab = tl.zeros([ROWS, CHANNELS], tl.float32)
    start = tl.program_id(1) * each
    for done in range(0, each, ROWS):
        row = start + done + tl.arange(0, ROWS)
        offset, inside = _tile(row, column, rows, places, channels, stride_n, stride_s, stride_c)
        a = tl.load(a_ptr + offset, inside, 0.0).to(tl.float32)
        x = tl.load(x_ptr + offset, inside, 0.0).to(tl.float32)
        of_a += a
        of_ax += a * ((x - mean) * inverse)
        if HAS_B:
            of_ab += a * tl.load(b_ptr + offset, inside, 0.0).to(tl.float32)
    out = out_ptr + tl.program_id(1) * channels + column
    tl.store(out, tl.sum(of_a, 0), known)
    tl.store(out + splits * channels, tl.sum(of_ax, 0), known)
    tl.store(out + 2 * splits * channels, tl.sum(of_ab, 0), known)


@triton.jit  # type: ignore[untyped-decorator]
def _first(
    gy_ptr, x_ptr, weight_ptr, mean_ptr, inverse_ptr, sums_ptr, out_ptr,
    rows, places, channels, stride_n, stride_s, stride_c, each,
    ROWS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    column = tl.program_id(0) * CHANNELS + tl.arange(0, CHANNELS)
    known = column < channels
    mean = tl.load(mean_ptr + column, known, 0.0).to(tl.float32)
    inverse = tl.load(inverse_ptr + column, known, 0.0).to(tl.float32)
    scale = tl.load(weight_ptr + column, known, 0.0).to(tl.float32) * inverse
    total = tl.load(sums_ptr + column, known, 0.0)
    total_xhat = tl.load(sums_ptr + channels + column, known, 0.0)
    of_x = -scale * inverse * total_xhat / rows
    shift = -scale * total / rows - mean * of_x
    start = tl.program_id(1) * each
    for done in range(0, each, ROWS):
        row = start + done + tl.arange(0, ROWS)
        offset, inside = _tile(row, column, rows, places, channels, stride_n, stride_s, stride_c)
        gy = tl.load(gy_ptr + offset, inside, 0.0).to(tl.float32)
        x = tl.load(x_ptr + offset, inside, 0.0).to(tl.float32)
        result = scale[None, :] * gy + of_x[None, :] * x + shift[None, :]
        tl.store(out_ptr + offset, result, inside)


@triton.jit  # type: ignore[untyped-decorator]
def _second(
    v_ptr, gy_ptr, x_ptr, weight_ptr, mean_ptr, inverse_ptr, sums_gy_ptr, sums_v_ptr,
    of_gy_ptr, of_x_ptr, of_weight_ptr,
    rows, places, channels, stride_n, stride_s, stride_c, each,
    ROWS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    column = tl.program_id(0) * CHANNELS + tl.arange(0, CHANNELS)
    known = column < channels
    mean = tl.load(mean_ptr + column, known, 0.0).to(tl.float32)
    inverse = tl.load(inverse_ptr + column, known, 0.0).to(tl.float32)
    scale = tl.load(weight_ptr + column, known, 0.0).to(tl.float32) * inverse
    gy_sum = tl.load(sums_gy_ptr + column, known, 0.0)
    gy_xhat = tl.load(sums_gy_ptr + channels + column, known, 0.0)
    v_sum = tl.load(sums_v_ptr + column, known, 0.0)
    v_xhat = tl.load(sums_v_ptr + channels + column, known, 0.0)
    v_gy = tl.load(sums_v_ptr + 2 * channels + column, known, 0.0)
    slope = inverse * (v_gy - (v_sum * gy_sum + v_xhat * gy_xhat) / rows)
    if tl.program_id(1) == 0:
        tl.store(of_weight_ptr + column, slope, known)
    a = gy_xhat / rows
    b = v_xhat / rows
    both = scale * inverse
    weight_of_v, weight_of_gy = -both * a, -both * b
    x_of_x = both * (2 * a * b * inverse - slope / rows)
    x_shift = both * (a * v_sum + b * gy_sum) / rows - mean * x_of_x
    gy_of_x = -both * b
    gy_shift = -scale * v_sum / rows - mean * gy_of_x
    start = tl.program_id(1) * each
    for done in range(0, each, ROWS):
        row = start + done + tl.arange(0, ROWS)
        offset, inside = _tile(row, column, rows, places, channels, stride_n, stride_s, stride_c)
        v = tl.load(v_ptr + offset, inside, 0.0).to(tl.float32)
        gy = tl.load(gy_ptr + offset, inside, 0.0).to(tl.float32)
        x = tl.load(x_ptr + offset, inside, 0.0).to(tl.float32)
        of_gy = scale[None, :] * v + gy_of_x[None, :] * x + gy_shift[None, :]
        of_x = x_of_x[None, :] * x + x_shift[None, :]
        of_x += weight_of_v[None, :] * v + weight_of_gy[None, :] * gy
        tl.store(of_gy_ptr + offset, of_gy, inside)
        tl.store(of_x_ptr + offset, of_x, inside)
