"""YOLO text: boxes and polygons in fractions of the image, a file for each image."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from sib.data.readers.annotations.entry import Annotation, Format, number, polygon
from sib.data.readers.annotations.keypoints import DataFile, check_polygons, find_data_file
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


def in_folder(folder: Path) -> Format:
    """The format of the labels in a folder, as the YAML file of their data set defines it.

    Raises:
        InputError: see `find_data_file`.
    """
    found = find_data_file(folder)
    if found is None:
        return FORMAT
    own = FORMAT._replace(check=None)
    if found.keypoints is None:
        return own
    count, _ = found.keypoints
    name = (
        f"{FORMAT.name}, boxes with {count} keypoint{'s' * (count > 1)} that are not used "
        f"(kpt_shape in {found.path.name})"
    )
    return own._replace(name=name, read=partial(read, data=found))


def read(content: str, path: Path, data: DataFile | None = None) -> Iterator[Annotation]:
    """The annotation of a file, whose image has the file's name.

    A line is the class, then x and y of a box's centre, its width and height and, where it was
    predicted, its confidence; or the class, then x and y of at least three points of a polygon.

    Args:
        content: of the file.
        path: of the file.
        data: of a data set with keypoints, whose lines have them after the four numbers of a box.

    Raises:
        InputError: a line of another kind, or a number that is not a fraction.
    """
    shapes = tuple(
        _shape(line.split(), f"{path}, line {number}", data)
        for number, line in enumerate(content.splitlines(), start=1)
        if line.strip()
    )
    yield Annotation((path.stem,), shapes, str(path), relative=True)


def _without_keypoints(words: list[str], data: DataFile | None, where: str) -> list[str]:
    """The class and the box of a line, without keypoints and a confidence behind them."""
    if data is None or data.keypoints is None:
        return words
    count, numbers = data.keypoints
    whole = 4 + count * numbers
    if len(words) - 1 not in (4, 5, whole, whole + 1):
        raise InputError(
            f"{where}: {whole} numbers, of a box and {count} × {numbers} of keypoints, are needed "
            f"by kpt_shape in {data.path}; got {len(words) - 1}"
        )
    return words[:5]


def _shape(words: list[str], where: str, data: DataFile | None) -> Box | Polygon:
    label, *rest = _without_keypoints(words, data, where)
    if not label.isdecimal():
        raise InputError(f"{where}: a line begins with the number of a class; got {label[:60]!r}")
    if _has_keypoints(rest):
        raise InputError(
            f"{where}: this looks like a box and keypoints with their visibility; put the "
            "data.yaml of the data set, with its kpt_shape, beside the labels, and the box is read"
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
    if len(rest) == 5 and not 0 <= number(rest[4], "a confidence", where) <= 1:
        raise InputError(
            f"{where}: a fifth number is a confidence from 0 to 1; got {rest[4][:60]}; write "
            "turned boxes by their corners, as YOLO OBB does"
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


FORMAT = Format("YOLO text", ".txt", matches, read, in_folder, check_polygons)
