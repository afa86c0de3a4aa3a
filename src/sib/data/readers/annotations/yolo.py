"""YOLO text: boxes and polygons in fractions of the image, a file for each image."""

from collections.abc import Iterator
from pathlib import Path

from sib.data.readers.annotations.entry import Annotation, Format, number, polygon
from sib.data.sample import Box
from sib.data.shapes import Polygon
from sib.utils.errors import InputError

FURTHEST = 2.0
"""Largest fraction: an object may leave its image, but larger numbers are pixels."""


def matches(content: str) -> bool:
    """Whether text is empty, or its first line is a whole number and at least 4 more numbers."""
    line = next((line for line in content.splitlines() if line.strip()), None)
    if line is None:
        return True
    first, *rest = line.split()
    return first.isdecimal() and len(rest) >= 4 and all(map(_is_number, rest))


def read(content: str, path: Path) -> Iterator[Annotation]:
    """The annotation of a file, whose image has the file's name.

    A line is the class, then x and y of a box's centre, its width and height and, where it was
    predicted, its confidence; or the class, then x and y of at least three points of a polygon.

    Raises:
        InputError: a line of another kind, or a number that is not a fraction.
    """
    shapes = tuple(
        _shape(line.split(), f"{path}, line {number}")
        for number, line in enumerate(content.splitlines(), start=1)
        if line.strip()
    )
    yield Annotation((path.stem,), shapes, str(path), relative=True)


def _shape(words: list[str], where: str) -> Box | Polygon:
    label, *rest = words
    if not label.isdecimal():
        raise InputError(f"{where}: a line begins with the number of a class; got {label[:60]!r}")
    if _has_keypoints(rest):
        raise InputError(
            f"{where}: this looks like a box and keypoints with their visibility, of which the box "
            "alone would be read; write the first 5 values of each line"
        )
    if len(rest) == 6 and rest[5].isdecimal():
        raise InputError(
            f"{where}: this looks like a box, its confidence and the number of a track; write the "
            "first 5 values of each line"
        )
    if len(rest) >= 6 and len(rest) % 2 == 0:
        return polygon(list(rest), where, FURTHEST)
    if len(rest) not in (4, 5):
        raise InputError(
            f"{where}: a class and 4 numbers of a box, or 6 or more of a polygon, are needed; got "
            f"{len(rest)}"
        )
    x, y, width, height = (number(word, "a fraction", where, FURTHEST) for word in rest[:4])
    if width < 0 or height < 0:
        raise InputError(f"{where}: a box's width and height must not be negative")
    return Box(x - width / 2, y - height / 2, width, height)


def _has_keypoints(rest: list[str]) -> bool:
    """Whether a box is followed by x, y and visibility, 0 to 2, and a point is visible.

    Visible is 2, which no coordinate of a polygon is.
    """
    visible = rest[6::3]
    known = len(rest) > 4 and (len(rest) - 4) % 3 == 0 and all(map(_is_number, visible))
    found = {float(word) for word in visible} if known else set()
    return 2 in found and found <= {0, 1, 2}


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


FORMAT = Format("YOLO text", ".txt", matches, read)
