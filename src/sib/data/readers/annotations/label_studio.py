"""Label Studio's own JSON: rectangles, ellipses, polygons and brush strokes of all images."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sib.data.match import as_path
from sib.data.readers.annotations.brush import read_brush
from sib.data.readers.annotations.entry import (
    Annotation,
    Format,
    Shape,
    box_of_extent,
    class_name,
    image_size,
    number,
    outline,
    shown,
)
from sib.data.readers.annotations.rotation import angle, ellipse, rotated
from sib.data.readers.kinds import is_photo
from sib.data.sample import Box
from sib.utils.errors import InputError

Size = tuple[int, int]
OUTLINED = ("imageDataURL", "vertices")
"""Keys of bitmaps and curves."""


def matches(content: Any) -> bool:
    """Whether JSON is a list of tasks with ``data`` and ``annotations``, or of its short form."""
    return (
        isinstance(content, list)
        and bool(content)
        and all(isinstance(task, dict) for task in content)
        and (_is_task(content[0]) or "annotation_id" in content[0])
    )


def read(content: list[dict[str, Any]], path: Path) -> Iterator[Annotation]:
    """One annotation for each task; several annotators of an image are united.

    x, y, width and height are percent of the image's sides. ``rotation`` is in degrees, clockwise
    about a rectangle's upper left corner and an ellipse's centre, on the image in pixels.
    Predictions and cancelled annotations are not used.

    Raises:
        InputError: a task names no image or several, or a value is not allowed.
    """
    for index, task in enumerate(content):
        where = f"{path}, task {index}"
        name = _image(task["data"] if _is_task(task) else task, where)
        shapes: list[Shape] = []
        classes: list[str | None] = []
        size: Size | None = None
        for entry, value in _results(task, where):
            own = image_size(entry.get("original_height"), entry.get("original_width"))
            if own is None or size not in (None, own) or entry.get("image_rotation"):
                raise InputError(
                    f"{where}: an object needs original_width and original_height, the same for "
                    "all of the image, and an image_rotation of 0"
                )
            size = own
            shapes.append(_shape(value, own, where))
            classes.append(_class(value))
        yield Annotation((name,), tuple(shapes), where, size, classes=tuple(classes))


def _is_task(task: dict[str, Any]) -> bool:
    return isinstance(task.get("data"), dict) and isinstance(_annotations(task), list)


def _annotations(task: dict[str, Any]) -> Any:
    return task.get("annotations", task.get("completions"))


def _image(data: dict[str, Any], where: str) -> str:
    named = [each for each in data.values() if isinstance(each, str) and is_photo(_file(each))]
    if len(set(named)) != 1:
        raise InputError(f"{where}: a task must name one image; got {shown(named)}")
    return named[0]


def _file(name: str) -> str:
    return as_path(name).name or " "


def _results(task: dict[str, Any], where: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The objects of a task, each with its value; answers without a place are left out."""
    if _is_task(task):
        kept = [
            each
            for each in _annotations(task)
            if isinstance(each, dict) and not each.get("was_cancelled")
        ]
        entries = [entry for each in kept for entry in _list(each.get("result"), where)]
        pairs = [(entry, entry.get("value")) for entry in entries]
    else:  # the short form, whose objects are in a list under the name of their control
        lists = [value for value in task.values() if isinstance(value, list)]
        pairs = [(entry, entry) for each in lists for entry in each if isinstance(entry, dict)]
    for entry, value in pairs:
        if isinstance(value, dict) and ({"x", "points", "rle", *OUTLINED} & set(value)):
            yield entry, value


def _list(found: object, where: str) -> list[dict[str, Any]]:
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise InputError(f"{where}: result must be a list of objects; got {shown(found)}")
    return found


def _shape(value: dict[str, Any], size: Size, where: str) -> Shape:
    def pixels(name: str, side: int) -> float:
        return number(value.get(name), name, where) * side / 100

    height, width = size
    if any(key in value for key in OUTLINED):
        raise InputError(f"{where} holds bitmaps or curves: export the project as COCO")
    if "rle" in value:
        return read_brush(value["rle"], size, where)
    if "points" in value:
        return outline(_points(value["points"], size, where), where)
    x, y = pixels("x", width), pixels("y", height)
    degrees = angle(value.get("rotation"), "rotation", where)
    if "radiusX" in value:
        return ellipse(x, y, pixels("radiusX", width), pixels("radiusY", height), degrees)
    if "height" not in value:  # a point, whose width is that of its mark
        return Box(x, y, 0.0, 0.0)
    box = box_of_extent((x, y, pixels("width", width), pixels("height", height)), where)
    return rotated(box, degrees, about=(x, y))


def _points(points: object, size: Size, where: str) -> list[float]:
    pairs = isinstance(points, list) and all(isinstance(p, list) and len(p) == 2 for p in points)
    if not pairs or not points:
        raise InputError(f"{where}: points must be a list of x and y; got {shown(points)}")
    height, width = size
    return [
        number(coordinate, "a point", where) * side / 100
        for point in points  # type: ignore[attr-defined]
        for coordinate, side in zip(point, (width, height), strict=True)
    ]


def _class(value: dict[str, Any]) -> str | None:
    labels = [each for key, each in value.items() if key.endswith("labels")]
    first = labels[0] if labels else None
    return class_name(first[0]) if isinstance(first, list) and first else None


FORMAT = Format("Label Studio JSON", ".json", matches, read)
