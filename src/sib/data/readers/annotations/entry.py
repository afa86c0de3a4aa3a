"""The common form of all annotation formats, and the limits that they share."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from sib.data.sample import Box
from sib.data.shapes import Bitmap, Polygon, Runs
from sib.utils.errors import InputError

LARGEST_NUMBER = 1e6
"""Largest coordinate or extent in pixels."""
MOST_POINTS = 100_000
"""Most points of a polygon."""
MOST_SHAPES = 2**14
"""Most objects of an image."""

Shape = Box | Polygon | Runs | Bitmap


@dataclass(frozen=True)
class Annotation:
    """The objects of one image, as its file gives them.

    Args:
        names: names by which to find the image, the best first; a path, a file name or a stem.
        shapes: its objects.
        where: names the entry in messages.
        size: height and width of the annotated image, None if unknown.
        relative: whether coordinates are fractions of the image's width and height.
        classes: the class of each shape, None where it is not given; empty where none is.
        doubts: how many shapes can be read in two ways, since nothing in the file decides.
    """

    names: tuple[str, ...]
    shapes: tuple[Shape, ...]
    where: str
    size: tuple[int, int] | None = None
    relative: bool = False
    classes: tuple[str | None, ...] = ()
    doubts: int = 0


class Found(NamedTuple):
    """What a file or folder of annotations holds."""

    format: str
    annotations: list[Annotation]
    ignored: list[str]
    """Names of files of a folder that are not of its format."""
    ending: str
    """Of files of the format."""


class Format(NamedTuple):
    """A format of annotations: one line of the registry."""

    name: str
    ending: str
    """Ending of its files, which decides how they are loaded."""
    matches: Callable[[Any], bool]
    """Whether a file's content is of this format."""
    read: Callable[[Any, Path], Iterator[Annotation]]
    """The annotations in a file's content.

    Raises:
        InputError: a value that is not allowed.
    """
    in_folder: "Callable[[Path], Format] | None" = None
    """The format of the files in a folder, where other files in it decide how they are read."""
    check: "Callable[[list[Annotation], Path], None] | None" = None
    """Raise InputError if all annotations of a file or folder together are still ambiguous."""


def number(value: object, what: str, where: str, largest: float = LARGEST_NUMBER) -> float:
    """A coordinate.

    Raises:
        InputError: it is not a finite number, or is not within ± ``largest``.
    """
    try:
        found = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not abs(found) <= largest:
        raise InputError(
            f"{where}: {what} must be a number within ±{largest:g}; got {shown(value)}"
        )
    return found


def outline(flat: list[Any], where: str) -> Box | Polygon:
    """A polygon from x, y, x, y, …, or a box without area from one or two points.

    Tools leave such remains of outlines behind; they are left out and counted.

    Raises:
        InputError: as of `polygon`.
    """
    if len(flat) in (2, 4):
        x, y = (number(value, "a polygon's coordinate", where) for value in flat[:2])
        return Box(x, y, 0.0, 0.0)
    return polygon(flat, where)


def polygon(flat: list[Any], where: str, largest: float = LARGEST_NUMBER) -> Polygon:
    """A polygon from the list x, y, x, y, …

    Raises:
        InputError: too few, too many or an odd number of values, or one that is not allowed.
    """
    if len(flat) < 6 or len(flat) % 2 or len(flat) > 2 * MOST_POINTS:
        raise InputError(
            f"{where}: a polygon needs x and y of 3 to {MOST_POINTS} points; got {len(flat)} values"
        )
    values = [number(value, "a polygon's coordinate", where, largest) for value in flat]
    return Polygon(tuple(zip(values[::2], values[1::2], strict=True)))


def box_of_edges(edges: tuple[float, float, float, float], where: str) -> Box:
    """A box from xmin, ymin, xmax and ymax.

    Raises:
        InputError: an upper edge lies below its lower one.
    """
    left, top, right, bottom = edges
    return box_of_extent((left, top, right - left, bottom - top), where)


def box_of_extent(values: tuple[float, float, float, float], where: str) -> Box:
    """A box from x and y of its upper left corner, width and height.

    Raises:
        InputError: a negative extent.
    """
    box = Box(*values)
    if box.width < 0 or box.height < 0:
        raise InputError(
            f"{where}: a box's width and height must not be negative; got "
            f"{box.width:g} × {box.height:g}"
        )
    return box


def class_name(value: object) -> str | None:
    """The name of an object's class; None where it is missing or not text."""
    return value.strip() or None if isinstance(value, str) and _is_encodable(value) else None


def image_size(height: object, width: object) -> tuple[int, int] | None:
    """The annotated image's size; None if it is missing, or given as 0.

    Some tools write whole numbers as text or with a decimal point.
    """
    sides = [_whole(height), _whole(width)]
    return (sides[0], sides[1]) if min(sides) > 0 else None


def text(value: object, what: str, where: str) -> str:
    """A name.

    Raises:
        InputError: it is not text, or is empty.
    """
    if not isinstance(value, str) or not value.strip() or not _is_encodable(value):
        raise InputError(f"{where}: {what} must be a name; got {shown(value)}")
    return value


def shown(value: object) -> str:
    """A value for a message, shortened if it is long."""
    try:
        found = repr(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits; a deep list
        found = f"a {type(value).__name__}"
    return found if len(found) <= 60 else f"{found[:59]}…"


def _whole(value: object) -> int:
    """A whole number that may be text or have a decimal point; 0 for anything else."""
    try:
        found = 0.0 if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return 0
    return int(found) if found.is_integer() else 0


def _is_encodable(value: str) -> bool:
    """Whether text holds no half of a surrogate pair, which JSON can and nothing can print."""
    return not any("\ud800" <= character <= "\udfff" for character in value)
