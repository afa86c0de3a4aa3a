"""Outlines, run lengths and bitmaps of annotated objects, and the foreground that they draw."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

CROSSINGS = 2**20
"""Crossings of edges and rows that are computed at once, to bound the memory."""


@dataclass(frozen=True)
class Polygon:
    """A closed outline, in pixels from the image's upper left corner.

    Args:
        points: (x, y) of its corners; the last is joined to the first.
    """

    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Runs:
    """A mask as run lengths, alternating background and foreground.

    Args:
        counts: lengths of the runs, which sum to height · width; the first is background.
        height: of the mask.
        width: of the mask.
        along_rows: whether the runs follow the rows, and not the columns. A format keeps its own
            order, in which it needs few runs.
    """

    counts: tuple[int, ...]
    height: int
    width: int
    along_rows: bool = False


@dataclass(frozen=True)
class Bitmap:
    """A mask as compressed bits.

    A picture of a few kilobytes may hold millions of runs; as bits it stays that small.

    Args:
        content: the pixels row by row, eight in a byte, compressed by zlib.
        height: of the mask.
        width: of the mask.
    """

    content: bytes
    height: int
    width: int


def draw_polygon(points: Sequence[tuple[float, float]], size: tuple[int, int]) -> Tensor:
    """True at the pixels whose centre lies in a polygon, by the even-odd rule.

    A row's centre line crosses the outline an even number of times. The pixels between an odd
    crossing and the next are inside. What leaves the image is cut off.

    Args:
        points: (x, y) of the corners, at least 3.
        size: height H and width W of the image.

    Returns:
        bool (H, W).
    """
    height, width = size
    start = np.asarray(points, dtype=np.float64)
    end = np.roll(start, -1, axis=0)
    crossings = np.zeros((height, width + 1), dtype=np.uint8)
    step = max(1, CROSSINGS // height)
    for first in range(0, len(start), step):
        _cross(crossings, start[first : first + step], end[first : first + step])
    inside = np.bitwise_xor.accumulate(crossings, axis=1)[:, :width]
    return torch.from_numpy(inside.astype(bool))


def draw_runs(runs: Runs, size: tuple[int, int]) -> Tensor:
    """The mask that run lengths describe, brought to a size by the nearest pixel.

    Args:
        runs: run lengths whose counts sum to height · width.
        size: height H and width W of the image.

    Returns:
        bool (H, W).
    """
    values = np.arange(len(runs.counts)) % 2 == 1
    flat = np.repeat(values, runs.counts)
    if runs.along_rows:
        mask = flat.reshape(runs.height, runs.width)
    else:
        mask = flat.reshape(runs.width, runs.height).T
    return _resized(mask, size)


def draw_bitmap(bitmap: Bitmap, size: tuple[int, int]) -> Tensor:
    """The mask of a bitmap, brought to a size by the nearest pixel.

    Args:
        bitmap: the mask.
        size: height H and width W of the image.

    Returns:
        bool (H, W).
    """
    packed = np.frombuffer(zlib.decompress(bitmap.content), dtype=np.uint8)
    bits = np.unpackbits(packed, count=bitmap.height * bitmap.width)
    return _resized(bits.view(bool).reshape(bitmap.height, bitmap.width), size)


def pack_bitmap(mask: np.ndarray) -> Bitmap:
    """The bitmap of a mask, bool (H, W)."""
    return Bitmap(zlib.compress(np.packbits(mask).tobytes()), *mask.shape)


def signed_area(points: Sequence[tuple[float, float]]) -> float:
    """Area of a polygon by the shoelace formula, ½ Σ (xᵢ yᵢ₊₁ − xᵢ₊₁ yᵢ)."""
    x, y = np.asarray(points, dtype=np.float64).T
    return float(x @ np.roll(y, -1) - np.roll(x, -1) @ y) / 2


def _resized(mask: np.ndarray, size: tuple[int, int]) -> Tensor:
    if mask.shape != size:
        rows, columns = (
            ((np.arange(wanted) + 0.5) * found / wanted).astype(np.int64)
            for wanted, found in zip(size, mask.shape, strict=True)
        )
        mask = mask[rows[:, None], columns]
    return torch.from_numpy(np.ascontiguousarray(mask))


def _cross(crossings: np.ndarray, start: np.ndarray, end: np.ndarray) -> None:
    """Flip the pixel behind each place where an edge crosses the centre line of a row."""
    height, width = crossings.shape[0], crossings.shape[1] - 1
    low, high = np.minimum(start[:, 1], end[:, 1]), np.maximum(start[:, 1], end[:, 1])
    top = np.clip(np.ceil(low - 0.5), 0, height).astype(np.int64)
    rows = np.clip(np.ceil(high - 0.5), 0, height).astype(np.int64) - top
    edge = np.repeat(np.arange(len(start)), rows)
    row = np.arange(rows.sum()) - np.repeat(np.cumsum(rows) - rows, rows) + top[edge]
    (x0, y0), (x1, y1) = start[edge].T, end[edge].T
    x = x0 + (row + 0.5 - y0) * (x1 - x0) / (y1 - y0)
    column = np.clip(np.ceil(x - 0.5), 0, width).astype(np.int64)
    np.bitwise_xor.at(crossings, (row, column), 1)
