"""Random resized crops and flips of images and of maps, on the device of the images."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from sib.functional.precision import at_least_float32

SMALLEST_AREA = 0.08
"""Smallest share of an image's area that a crop keeps, as in torchvision's RandomResizedCrop."""
LARGEST_RATIO = 4 / 3
"""Of the sides of a crop, in either direction."""


class Crops(NamedTuple):
    """One crop for each image, which is then resized to the whole image, and perhaps flipped."""

    start: Tensor
    """o, (B, 2), the top and left edge, as shares of height and width, in [0, 1 − s]."""
    size: Tensor
    """s, (B, 2), height and width, as shares of the image's, in (0, 1]."""
    flipped: Tensor
    """Bool (B,), whether left and right are exchanged."""


def random_crops(images: Tensor) -> Crops:
    """Draw a crop for each image: its area, the ratio of its sides, its position and its flip.

    The area is uniform in [0.08, 1] of the image's and the logarithm of the ratio uniform in
    ±log 4/3. A side that does not fit is cut to the image's. Half of the images are flipped. Five
    numbers are drawn for each image, from torch's generator of the images' device.

    Args:
        images: (B, C, H, W).
    """
    height, width = images.shape[-2:]
    drawn = torch.rand(len(images), 5, device=images.device)
    area = height * width * (SMALLEST_AREA + (1 - SMALLEST_AREA) * drawn[:, 0])
    ratio = (math.log(LARGEST_RATIO) * (2 * drawn[:, 1] - 1)).exp()
    rows, columns = (area / ratio).sqrt() / height, (area * ratio).sqrt() / width
    size = torch.stack([rows, columns], dim=1).clamp(max=1)
    return Crops(drawn[:, 2:4] * (1 - size), size, drawn[:, 4] < 0.5)


def resized_crops(values: Tensor, crops: Crops) -> Tensor:
    """Crop each map, resize the crop bilinearly to the size of the map, and flip it.

    T(v) = W_y v W_xᵀ with W_ij = max(0, 1 − |p_i − j|). The point p_i = n (o + s (i + ½)/n) − ½,
    kept within [0, n − 1], is where place i of n is taken from; for a flipped image, place
    n − 1 − i. T is linear in v, and its crop is given in shares of the sides, so that images and
    coarser maps of them are cropped alike.

    Args:
        values: v, (B, C, H, W).
        crops: from `random_crops`.

    Returns:
        (B, C, H, W), in the dtype of ``values``.
    """
    height, width = values.shape[-2:]
    wide = at_least_float32(values)
    (top, left), (tall, broad) = crops.start.unbind(1), crops.size.unbind(1)
    rows = _interpolation(top, tall, height, wide)
    columns = _interpolation(left, broad, width, wide)
    columns = torch.where(crops.flipped[:, None, None], columns.flip(1), columns)
    with torch.autocast(values.device.type, enabled=False):
        return (rows[:, None] @ wide @ columns[:, None].mT).to(values.dtype)


def _interpolation(start: Tensor, size: Tensor, n: int, like: Tensor) -> Tensor:
    """W, (B, n, n), for one axis."""
    places = torch.arange(n, device=like.device, dtype=like.dtype)
    start, size = start.to(like.dtype)[:, None], size.to(like.dtype)[:, None]
    points = (n * start + size * (places + 0.5) - 0.5).clamp(0, n - 1)
    return (1 - (points[:, :, None] - places).abs()).relu()
