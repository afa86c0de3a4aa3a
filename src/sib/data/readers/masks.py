"""Foregrounds from mask files and boxes."""

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torchvision import tv_tensors

from sib.data.readers.annotation import read_boxes
from sib.data.readers.decode import opened, upright
from sib.data.readers.kinds import LOSSY
from sib.data.readers.mask_values import background_colour, grey_values
from sib.data.sample import Box, BoxFile, Foreground, MaskFile, MaskRule, Objects
from sib.data.shapes import Polygon, Runs, draw_bitmap, draw_polygon, draw_runs
from sib.utils.errors import InputError

CODED = {MaskRule.LEEDS: "0 to 3", MaskRule.TRIMAP: "1 to 3"}
"""Rules whose values are codes, not grey levels, and the allowed values."""

OVERHANG = 1.0
"""Pixels by which a box may leave its image, because boxes get rounded."""


def read_foreground(source: Foreground, size: tuple[int, int]) -> tv_tensors.Mask:
    """The foreground of an image of a given size.

    Args:
        source: a mask file; or boxes, a file of boxes or objects, which are united.
        size: height and width of the upright image.

    Returns:
        bool (1, H, W).

    Raises:
        InputError: the mask cannot be read, is of another size or has values outside of its rule.
    """
    if isinstance(source, BoxFile):
        source = read_boxes(source.path, size)
    if isinstance(source, Objects):
        return tv_tensors.Mask(draw_objects(source, size)[None])
    if not isinstance(source, MaskFile):
        return tv_tensors.Mask(draw_boxes(source, size)[None])
    values = read_values(source)
    check_size(source.path, values.shape, size)
    return tv_tensors.Mask(torch.from_numpy(_RULES[source.rule](values, source.path))[None])


def draw_boxes(boxes: tuple[Box, ...], size: tuple[int, int]) -> Tensor:
    """True at the pixels whose centre lies in a box, bool (H, W)."""
    mask = torch.zeros(size, dtype=torch.bool)
    for box in boxes:
        rows = slice(_first(box.top), _first(box.top + box.height))
        mask[rows, _first(box.left) : _first(box.left + box.width)] = True
    return mask


def draw_objects(objects: Objects, size: tuple[int, int]) -> Tensor:
    """True at the pixels of any of the objects, bool (H, W)."""
    mask = torch.zeros(size, dtype=torch.bool)
    for shape in objects.shapes:
        if isinstance(shape, Box):
            mask |= draw_boxes((shape,), size)
        elif isinstance(shape, Polygon):
            mask |= draw_polygon(shape.points, size)
        elif isinstance(shape, Runs):
            mask |= draw_runs(shape, size)
        else:
            mask |= draw_bitmap(shape, size)
    return mask


def check_box(box: Box, size: tuple[int, int], where: str, overhang: float = OVERHANG) -> None:
    """Raise InputError unless a box has an extent, lies in its image and covers a pixel of it.

    Args:
        box: box in pixels.
        size: height and width of the image.
        where: names the box in the message.
        overhang: pixels by which it may leave the image; what leaves it is cut off.
    """
    if not (box.width > 0 and box.height > 0):
        raise InputError(
            f"{where}: a box's width and height must be above 0; got {box.width:g} × {box.height:g}"
        )
    height, width = size
    shown = f"{where}: the box {box.left:g} {box.top:g} {box.width:g} {box.height:g}"
    inside = box.left >= -overhang and box.left + box.width <= width + overhang
    if not (inside and box.top >= -overhang and box.top + box.height <= height + overhang):
        raise InputError(
            f"{shown} leaves its image of {width} × {height} pixels by more than {overhang:g}"
        )
    if not draw_boxes((box,), size).any():
        raise InputError(f"{shown} covers no pixel of its image of {width} × {height}")


def check_size(path: Path, mask: tuple[int, ...], image: tuple[int, int]) -> None:
    """Raise InputError unless a mask is as large as its upright image; both (H, W)."""
    if mask != image:
        turned = mask == image[::-1] and mask[0] != mask[1]
        hint = ", turned as the image is by its EXIF orientation, if it has one" if turned else ""
        raise InputError(
            f"{path} is {mask[1]} × {mask[0]} pixels, its image {image[1]} × {image[0]}; "
            f"a mask must have the size of its image{hint}"
        )


def _first(edge: float) -> int:
    """The first pixel whose centre is not before an edge."""
    return max(0, math.ceil(edge - 0.5))


def read_values(source: MaskFile) -> np.ndarray:
    """The values of a mask, upright: codes as stored, others as `grey_values`; uint8 (H, W).

    Raises:
        InputError: the mask cannot be read.
    """
    with opened(source.path) as image:
        image.load()
        # a colour mask of a coded rule would be grey of palette colours, not the codes
        if source.rule in CODED and image.mode not in ("P", "L", "1"):
            raise InputError(
                f"{source.path} is a colour image; a mask of this layout must be a palette or grey "
                f"PNG with the values {CODED[source.rule]}, of which 1 and 3 are foreground"
            )
        turned = upright(image)
        if source.rule in CODED:
            return np.array(turned, dtype=np.uint8)
        return grey_values(turned, source.path, lossy=image.format in LOSSY)


def read_background(source: MaskFile) -> str:
    """What is taken for the background of a mask of colours; empty for other masks.

    Raises:
        InputError: the mask cannot be read.
    """
    if source.rule in CODED:
        return ""
    with opened(source.path) as image:
        image.load()
        return background_colour(image, source.path)


def _leeds(values: np.ndarray, path: Path) -> np.ndarray:
    if values.max() > 3:
        raise InputError(
            f"{path} holds the value {values.max()}; a mask of this layout holds 0 to 3, of which "
            "1 and 3 are foreground"
        )
    return values % 2 == 1


def _trimap(values: np.ndarray, path: Path) -> np.ndarray:
    wrong = values.min() if values.min() < 1 else values.max()
    if not 1 <= wrong <= 3:
        raise InputError(
            f"{path} holds the value {wrong}; a trimap holds 1 (the animal), 2 (background) and 3 "
            "(the animal's outline)"
        )
    return values != 2


def _half(values: np.ndarray, path: Path) -> np.ndarray:
    return values >= 128


def _binary_or_half(values: np.ndarray, path: Path) -> np.ndarray:
    highest = values.max()
    if highest <= 1:
        return values > 0
    if highest < 128:
        # the codes of a label map, which would all count as background
        raise InputError(
            f"{path} holds no value above {highest}; a mask holds 0 and 1, or grey values of which "
            "128 and above are foreground"
        )
    return values >= 128


_RULES = {
    MaskRule.LEEDS: _leeds,
    MaskRule.HALF: _half,
    MaskRule.TRIMAP: _trimap,
    MaskRule.BINARY_OR_HALF: _binary_or_half,
}
