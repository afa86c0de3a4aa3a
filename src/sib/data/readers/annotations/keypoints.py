"""Keypoints behind the boxes of YOLO text: what the data set's YAML file says, and what may be."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from sib.config.yaml_file import LARGEST, parse_yaml
from sib.data.readers.annotations.entry import Annotation, shown
from sib.data.readers.annotations.load import load_text
from sib.data.shapes import Polygon
from sib.data.split_names import split_of
from sib.utils.errors import InputError

Point = tuple[float, float]
LEVELS = 3
"""Folders that may hold the YAML file: that of the labels, and the next ones above it."""
MOST_KEYPOINTS = 10_000
OF_A_DATA_SET = ("names", "nc", "kpt_shape")
"""Keys of YAML files that describe a data set."""
SPLITS = ("train", "val", "test")
"""Keys of such a file that name folders of images."""
MARGIN = 0.1
"""How far a keypoint may lie outside its box, in sides of the box."""
MOST_CORNERS = 64
"""Of an outline that is looked through for crossings."""
ROUNDING = 0.02
"""How far a box may leave its image, in sides of the image."""


class DataFile(NamedTuple):
    """What the YAML file of a data set says about the lines of its labels."""

    path: Path
    keypoints: tuple[int, int] | None
    """Keypoints of an object and numbers of each, 2 or 3; None for boxes and polygons."""


def find_data_file(folder: Path) -> DataFile | None:
    """The YAML file of the data set in the folder of its labels, or in the nearest one above.

    Above, it must name the folder of the labels or that of their images as a split. If it names no
    splits, only ``labels`` and folders of splits may lie between, as in ``train/labels``. Otherwise
    it is of another data set and is not used.

    Raises:
        InputError: files in one folder differ, or ``kpt_shape`` is not allowed.
    """
    folder = folder.absolute()
    for level in (folder, *folder.parents)[:LEVELS]:
        found = list(_data_files(level, folder))
        for other in found[1:]:
            if other.keypoints != found[0].keypoints:
                raise InputError(
                    f"annotations: {found[0].path} and {other.path.name} differ in kpt_shape; keep "
                    "the one of this data set"
                )
        if found:
            return found[0]
    return None


def _data_files(place: Path, labels: Path) -> Iterator[DataFile]:
    try:
        paths = sorted(place.iterdir())
    except OSError:  # a folder above that may not be listed
        return
    for path in paths:
        if path.suffix.lower() not in (".yaml", ".yml") or path.name[0] == ".":
            continue
        try:
            content = parse_yaml(load_text(path, LARGEST))
        except (InputError, ValueError) as error:
            if path.stem.lower() in ("data", "dataset"):
                reason = " ".join(str(error).split())[:200]
                raise InputError(f"annotations: {path} cannot be read: {reason}") from None
            continue  # a file of something else
        known = isinstance(content, dict) and any(key in content for key in OF_A_DATA_SET)
        if known and _describes(content, labels.relative_to(place).parts):
            yield DataFile(path, _keypoints(content, path))


def _describes(content: dict[Any, Any], labels: tuple[str, ...]) -> bool:
    """Whether a data set's file is about a folder of labels, whose path begins beside the file.

    Splits name folders of images, whose labels lie in ``labels`` in place of ``images``.
    """
    given = [content.get(split) for split in SPLITS]
    entries = [each for entry in given for each in (entry if isinstance(entry, list) else [entry])]
    splits = [each for each in entries if isinstance(each, str)]
    if not labels or not splits:
        return all(part.lower() == "labels" or split_of(part) for part in labels)
    root = content.get("path")
    return any(
        _ends_alike(_parts(root) + _parts(split), tuple(map(_as_labels, labels)))
        for split in splits
    )


def _ends_alike(split: tuple[str, ...], labels: tuple[str, ...]) -> bool:
    """Whether the end of a split's path leads to the labels, or to a folder inside or above."""
    ends = [split[start:] for start in range(len(split))] or [()]
    return any(end[: len(labels)] == labels or labels[: len(end)] == end for end in ends)


def _parts(path: object) -> tuple[str, ...]:
    """The folders of a path in the file; a list of images is in their folder."""
    text = path.replace("\\", "/") if isinstance(path, str) else ""
    parts = [part for part in text.split("/") if part not in ("", ".", "..")]
    if parts and parts[-1].endswith(".txt"):
        parts.pop()
    return tuple(map(_as_labels, parts))


def _as_labels(folder: str) -> str:
    return "labels" if folder == "images" else folder


def _keypoints(content: dict[Any, Any], path: Path) -> tuple[int, int] | None:
    shape = content.get("kpt_shape")
    if shape is None:
        return None
    two = isinstance(shape, list) and [type(each) for each in shape] == [int, int]
    if not two or not 1 <= shape[0] <= MOST_KEYPOINTS or shape[1] not in (2, 3):
        raise InputError(
            f"annotations: kpt_shape in {path} must be the number of keypoints and 2 or 3, the "
            f"numbers of each; got {shown(shape)}"
        )
    return shape[0], shape[1]


def check_polygons(annotations: list[Annotation], folder: Path) -> None:
    """Raise InputError if all polygons may as well be boxes with keypoints.

    Then all lines have as many numbers. As boxes with keypoints, each box lies inside its image and
    the keypoints lie at it; or as polygons, all outlines cross themselves.
    """
    polygons = [s for each in annotations for s in each.shapes if isinstance(s, Polygon)]
    sizes = {len(shape.points) for shape in polygons}
    if len(sizes) != 1:
        return
    fit, crossed = map(_may_be_keypoints, polygons), (_crosses(s.points) for s in polygons)
    if all(fit) or (max(sizes) <= MOST_CORNERS and all(crossed)):
        raise InputError(
            f"annotations: the lines in {folder} may be polygons, or boxes with keypoints, as each "
            f"has {2 * sizes.pop()} numbers behind its class and fits both; put a data.yaml beside "
            "them, with the names of the classes, and with kpt_shape if they are keypoints"
        )


def _may_be_keypoints(shape: Polygon) -> bool:
    (x, y), (width, height), *points = shape.points
    corners = [(x - width / 2, y - height / 2), (x + width / 2, y + height / 2)]
    if not _holds(0.5, 0.5, 1, 1, ROUNDING, corners):
        return False
    if _holds(x, y, width, height, MARGIN, points):
        return True
    flat = [number for point in points for number in point]
    seen = flat[2::3]
    if len(flat) % 3 or not set(seen) <= {0, 1, 2}:
        return False
    return _holds(x, y, width, height, MARGIN, list(zip(flat[::3], flat[1::3], strict=True)))


def _holds(
    x: float,
    y: float,
    width: float,
    height: float,
    margin: float,
    points: list[Point],
) -> bool:
    """Whether points lie in a box around x, y with a margin; (0, 0) is a point that is missing."""
    across, down = (0.5 + margin) * width, (0.5 + margin) * height
    return width > 0 < height and all(
        point == (0, 0) or (abs(point[0] - x) <= across and abs(point[1] - y) <= down)
        for point in points
    )


def _crosses(points: tuple[tuple[float, float], ...]) -> bool:
    """Whether two sides of an outline that are not neighbours cross each other."""
    sides = list(zip(points, points[1:] + points[:1], strict=True))
    last = len(sides) - 1
    return any(
        _cross(*sides[first], *sides[second])
        for first in range(len(sides))
        for second in range(first + 2, len(sides))
        if (first, second) != (0, last)
    )


def _cross(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Whether the ends of each of two sides lie on both sides of the other."""
    return _side(a, b, c) * _side(a, b, d) < 0 and _side(c, d, a) * _side(c, d, b) < 0


def _side(a: Point, b: Point, point: Point) -> float:
    """Positive to the left of the line from a to b, and negative to its right."""
    return (b[0] - a[0]) * (point[1] - a[1]) - (b[1] - a[1]) * (point[0] - a[0])
