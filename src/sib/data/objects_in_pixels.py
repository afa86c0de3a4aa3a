"""The objects of an annotation in the pixels of its image."""

import math
from pathlib import Path

from sib.data.annotation_notes import Counts
from sib.data.readers.annotations import Annotation
from sib.data.readers.annotations.entry import Shape
from sib.data.readers.masks import OVERHANG
from sib.data.sample import Box, Record
from sib.data.shapes import Bitmap, Polygon, Runs, draw_polygon, signed_area
from sib.utils.errors import InputError

Size = tuple[int, int]


def check_in_pixels(annotations: list[Annotation], path: Path) -> None:
    """Raise InputError if all coordinates of an image lie in 0 to 1, as fractions of a side do."""
    for each in annotations:
        outlined = [
            number
            for shape in each.shapes
            if not isinstance(shape, Runs | Bitmap) and not _is_remain(shape)
            for number in _bounds(shape)
        ]
        inside = not each.relative and bool(outlined) and all(0 <= n <= 1 for n in outlined)
        if inside and not all(float(number).is_integer() for number in outlined):
            raise InputError(
                f"annotations: the coordinates in {path} lie between 0 and 1, as fractions of the "
                f"image's width and height do, in {each.where}; write them in pixels"
            )


def objects_in_pixels(
    annotation: Annotation, record: Record, size: Size, counts: Counts
) -> list[tuple[Shape, str | None]]:
    """The objects of an annotation that cover a pixel of the image, with their classes.

    Args:
        annotation: of the image.
        record: the image, for messages.
        size: its height and width, upright.
        counts: to which is added what was scaled, leaves the image, or has no area in it.

    Raises:
        InputError: the annotation was made on an image of another shape.
    """
    factors = _factors(annotation, record, size)
    if annotation.size is not None and annotation.size != size:
        counts.add("scaled", record.name)
    scaled = [_scaled(shape, *factors) for shape in annotation.shapes]
    for shape in scaled:
        if isinstance(shape, Runs | Bitmap):
            _check_shape((shape.height, shape.width), size, annotation.where, record)
    classes = annotation.classes or (None,) * len(scaled)
    for _ in range(annotation.doubts):
        counts.add("undecided", record.name)
    kept = [pair for pair in zip(scaled, classes, strict=True) if _covers(pair[0], size)]
    for _ in range(len(scaled) - len(kept)):
        counts.add("without_area", record.name)
    for shape, _ in kept:
        if _leaves(shape, size):
            counts.add("clipped", record.name)
    return kept


def _factors(annotation: Annotation, record: Record, size: Size) -> tuple[float, float]:
    """Factors for x and y."""
    height, width = size
    if annotation.relative:
        return float(width), float(height)
    if annotation.size is None:
        return 1.0, 1.0
    _check_shape(annotation.size, size, annotation.where, record)
    return width / annotation.size[1], height / annotation.size[0]


def _check_shape(annotated: Size, size: Size, where: str, record: Record) -> None:
    """Raise InputError unless two sizes are the same up to a scale and its rounding."""
    (height, width), (other_height, other_width) = annotated, size
    rounding = max(height + width, other_height + other_width) / 2
    if abs(height * other_width - width * other_height) > rounding:
        turned = annotated == (other_width, other_height)
        hint = ", which its EXIF orientation may have turned" if turned else ""
        raise InputError(
            f"{where} was made on an image of {width} × {height} pixels, but {record.name} has "
            f"{other_width} × {other_height}{hint}; an annotation must have its image's shape"
        )


def _scaled(shape: Shape, across: float, down: float) -> Shape:
    if isinstance(shape, Box):
        left, width = shape.left * across, shape.width * across
        return Box(left, shape.top * down, width, shape.height * down)
    if isinstance(shape, Polygon):
        return Polygon(tuple((x * across, y * down) for x, y in shape.points))
    return shape


def _covers(shape: Shape, size: Size) -> bool:
    """Whether a shape has an area in its image."""
    if isinstance(shape, Runs):
        return any(shape.counts[1::2])
    if isinstance(shape, Bitmap):  # a blank one is left out when it is read
        return True
    left, top, right, bottom = _bounds(shape)
    if isinstance(shape, Box):
        return _has_centre(left, right, size[1]) and _has_centre(top, bottom, size[0])
    inside = left < size[1] and right > 0 and top < size[0] and bottom > 0
    # halves of a crossed outline may cancel
    return inside and (signed_area(shape.points) != 0 or _draws(shape, size))


def _has_centre(low: float, high: float, side: int) -> bool:
    """Whether a pixel's centre lies in an interval on an axis of ``side`` pixels."""
    return max(0, math.ceil(low - 0.5)) < min(side, math.ceil(high - 0.5))


def _draws(shape: Polygon, size: Size) -> bool:
    return bool(draw_polygon(shape.points, size).any())


def _leaves(shape: Shape, size: Size) -> bool:
    if isinstance(shape, Runs | Bitmap):
        return False
    left, top, right, bottom = _bounds(shape)
    return max(-left, -top, right - size[1], bottom - size[0]) > OVERHANG


def _bounds(shape: Box | Polygon) -> tuple[float, float, float, float]:
    if isinstance(shape, Box):
        return shape.left, shape.top, shape.left + shape.width, shape.top + shape.height
    x, y = zip(*shape.points, strict=True)
    return min(x), min(y), max(x), max(y)


def _is_remain(shape: Shape) -> bool:
    """Whether a shape is a point, or what is left of an outline."""
    return isinstance(shape, Box) and shape.width == shape.height == 0
