"""Which part of an image a map marks: its largest values, or those above Otsu's threshold."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from sib.functional import checks

Area = float | Literal["otsu"]
"""Share of an image that is foreground, in (0, 1), or Otsu's threshold for each image."""
BINS = 256
"""Bins of the histogram that Otsu's threshold is computed from."""


def marked_area(maps: Tensor, area: Area, size: tuple[int, int]) -> Tensor:
    """`largest_area` where the area is a share, `otsu_area` where it is ``"otsu"``.

    Raises:
        ValueError: an argument is out of its range.
    """
    if area == "otsu":
        return otsu_area(maps, size)
    if isinstance(area, str):
        raise ValueError(f"area must be a number between 0 and 1, or 'otsu'; got {area!r}")
    return largest_area(maps, area, size)


def otsu_area(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """The pixels above Otsu's threshold of each enlarged map.

    The map is enlarged bilinearly. A threshold t divides its pixels into two classes with shares
    w₀(t), w₁(t) and means μ₀(t), μ₁(t). Otsu's threshold is the t with the largest variance between
    the classes, w₀ w₁ (μ₀ − μ₁)². It is computed from a histogram of 256 bins between the smallest
    and the largest value. The area adapts to the image: a large object has a large foreground.

    Args:
        maps: (B, 1, h, w), floating point.
        size: (H, W) of the foreground.

    Returns:
        (B, 1, H, W), bool. A constant map has no foreground.

    Raises:
        ValueError: maps are not a batch of floating-point images.

    Source: Otsu 1979, A threshold selection method from gray-level histograms.
    """
    checks.image_batch("maps", maps)
    enlarged = F.interpolate(maps, size, mode="bilinear", align_corners=False)
    rows = enlarged.detach().flatten(1).double()
    low, high = rows.aminmax(dim=1, keepdim=True)
    width = (high - low) / BINS
    bins = ((rows - low) / width.clamp(min=torch.finfo(rows.dtype).tiny)).long().clamp(max=BINS - 1)
    counts = torch.zeros(len(rows), BINS, dtype=rows.dtype, device=rows.device)
    counts.scatter_add_(1, bins, torch.ones_like(rows))
    centres = torch.arange(BINS, dtype=rows.dtype, device=rows.device) + 0.5
    below, sums = counts.cumsum(1), (counts * centres).cumsum(1)
    above, total = rows.shape[1] - below, sums[:, -1:]
    # n² times the variance between the classes; the first of equal maxima, as is usual
    between = (sums * rows.shape[1] - below * total).square() / (below * above).clamp(min=1)
    best = between[:, :-1].argmax(dim=1, keepdim=True)
    return (bins > best).view_as(enlarged) & (high > low)[..., None, None]


def largest_area(maps: Tensor, area: float, size: tuple[int, int]) -> Tensor:
    """The pixels with the largest values of each enlarged map.

    The map is enlarged bilinearly to n = H · W pixels. The foreground is every pixel above the
    value of rank round((1 − area) n). Pixels equal to that value are left out, so a constant map
    has no foreground.

    Args:
        maps: (B, 1, h, w), floating point.
        area: share of the pixels, in (0, 1).
        size: (H, W) of the foreground.

    Returns:
        (B, 1, H, W), bool.

    Raises:
        ValueError: an argument is out of its range.
    """
    checks.image_batch("maps", maps)
    if not 0 < area < 1:
        raise ValueError(f"area must lie between 0 and 1, both excluded; got {area!r}")
    enlarged = F.interpolate(maps, size, mode="bilinear", align_corners=False)
    rows = enlarged.flatten(1)
    rank = max(1, round((1 - area) * rows.shape[1]))
    threshold = rows.kthvalue(rank, dim=1).values
    return enlarged > threshold[:, None, None, None]


def centred_disc(area: float, size: tuple[int, int]) -> Tensor:
    """The pixels nearest to the centre of an image: a guess that does not look at the image.

    As in `largest_area`, pixels that are equally far from the centre are in the disc together. At
    least the nearest ones are in it, which are four if both sides are even.

    Args:
        area: share of the pixels, in (0, 1).
        size: (H, W).

    Returns:
        (1, 1, H, W), bool.
    """
    y, x = (torch.arange(length, dtype=torch.float64) - (length - 1) / 2 for length in size)
    nearness = -(y[:, None].square() + x.square())[None, None]
    disc = largest_area(nearness, area, size)
    return disc if disc.any() else nearness == nearness.amax()
