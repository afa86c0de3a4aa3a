"""COCO JSON: boxes, polygons and run lengths, all images in one file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sib.data.readers.annotations.coco_boxes import boxes_in_doubt
from sib.data.readers.annotations.entry import (
    Annotation,
    Format,
    Shape,
    box_of_edges,
    box_of_extent,
    class_name,
    image_size,
    number,
    outline,
    shown,
    text,
)
from sib.data.readers.annotations.rle import read_runs
from sib.data.readers.annotations.rotation import angle, check_angles, rotated
from sib.data.sample import Box
from sib.data.shapes import Polygon
from sib.utils.errors import InputError

XYXY, XYWH = 0, 1
"""Values of ``bbox_mode``."""
ROUNDING = 0.01
"""Share of a box's area by which tools round it."""


def matches(content: Any) -> bool:
    """Whether JSON holds ``images`` and ``annotations``."""
    return (
        isinstance(content, dict)
        and isinstance(content.get("images"), list)
        and isinstance(content.get("annotations"), list)
    )


def read(content: dict[str, Any], path: Path) -> Iterator[Annotation]:
    """One annotation for each entry of ``images``.

    An object's ``segmentation`` is used if it has one, and otherwise its ``bbox`` (x, y, width,
    height), turned by ``attributes.rotation`` if CVAT wrote one.

    Raises:
        InputError: a value that is not allowed, or an object of an image that is not listed.
    """
    images = {
        _key(image, "id", f"{path}, image {index}"): image
        for index, image in enumerate(content["images"])
    }
    if len(images) < len(content["images"]):
        raise InputError(f"{path}: two images have the same id")
    objects: dict[str, list[Shape]] = {key: [] for key in images}
    classes: dict[str, list[str | None]] = {key: [] for key in images}
    names = _categories(content)
    doubtful = boxes_in_doubt(content, path)
    for index, entry in enumerate(content["annotations"]):
        where = f"{path}, annotation {index}"
        key = _key(entry, "image_id", where)
        if key not in objects:
            raise InputError(f"{where}: no image has the id {key[:60]}")
        shapes = _shapes(entry, where)
        objects[key] += shapes
        classes[key] += [names.get(str(entry.get("category_id")))] * len(shapes)
    for index, (key, image) in enumerate(images.items()):
        where = f"{path}, image {index}"
        name = text(image.get("file_name"), "file_name", where)
        size = image_size(image.get("height"), image.get("width"))
        own = tuple(classes[key])
        doubts = doubtful.get(key, 0)
        yield Annotation((name,), tuple(objects[key]), where, size, classes=own, doubts=doubts)


def _categories(content: dict[str, Any]) -> dict[str, str | None]:
    """Names of the classes by their id; what is not of COCO's form has none."""
    entries = content.get("categories")
    known = (
        [each for each in entries if isinstance(each, dict)] if isinstance(entries, list) else []
    )
    return {str(each.get("id")): class_name(each.get("name")) for each in known}


def _key(entry: Any, name: str, where: str) -> str:
    """An id as text, as some tools write the number of an image as text where it is referred to."""
    found = entry.get(name) if isinstance(entry, dict) else None
    if isinstance(found, bool) or not isinstance(found, (int, str)):
        raise InputError(f"{where}: {name} must be a number or a name; got {shown(found)}")
    try:
        return str(found)
    except ValueError:  # of thousands of digits
        raise InputError(f"{where}: {name} must be a number or a name; got an integer") from None


def _shapes(entry: dict[str, Any], where: str) -> list[Shape]:
    segmentation = entry.get("segmentation")
    if isinstance(segmentation, dict) and segmentation:
        return [read_runs(segmentation.get("counts"), segmentation.get("size"), where)]
    if isinstance(segmentation, list) and all(isinstance(v, int | float) for v in segmentation):
        segmentation = [segmentation]  # a single polygon, as some tools write it
    if segmentation and segmentation != [[]]:
        if not isinstance(segmentation, list) or not all(isinstance(p, list) for p in segmentation):
            raise InputError(
                f"{where}: segmentation must be a list of polygons, or run lengths with counts "
                f"and size; got {shown(segmentation)}"
            )
        shapes: list[Shape] = [outline(flat, where) for flat in segmentation]
        return _turned(entry, shapes, where)
    box = entry.get("bbox")
    if not isinstance(box, list) or len(box) != 4:
        raise InputError(
            f"{where}: it needs a segmentation, or a bbox of x, y, width and height; got "
            f"{shown(box)}"
        )
    found = _box(entry, [number(value, "bbox", where) for value in box], where)
    return _turned(entry, [found], where)


def _box(entry: dict[str, Any], values: list[float], where: str) -> Box:
    """A box of x, y, width and height; or of its edges if ``bbox_mode`` of Detectron2 is 0.

    Raises:
        InputError: another mode, or the numbers are edges by the ``area``.
    """
    a, b, c, d = values
    mode = entry.get("bbox_mode", XYWH)
    if mode == XYXY:
        return box_of_edges((a, b, c, d), where)
    if mode != XYWH:
        raise InputError(f"{where}: bbox_mode must be 0 (edges) or 1; got {shown(mode)}")
    area, of_edges = entry.get("area"), (c - a) * (d - b)
    if isinstance(area, int | float) and c > a and d > b and area > 0:
        off = abs(area - c * d), abs(area - of_edges)
        if off[0] > ROUNDING * area and off[1] <= ROUNDING * area:
            raise InputError(
                f"{where}: bbox must be x, y, width and height; by its area {area:g}, {values} are "
                "xmin, ymin, xmax and ymax"
            )
    return box_of_extent((a, b, c, d), where)


def _turned(entry: dict[str, Any], shapes: list[Shape], where: str) -> list[Shape]:
    """A box turned as CVAT's exports say, in degrees clockwise about its centre.

    An outline is left as it is, unless it is that of the box before it is turned.

    Raises:
        InputError: the angle is given in another way.
    """
    box = shapes[0] if len(shapes) == 1 else None
    box = _as_box(box.points) if isinstance(box, Polygon) else box
    if not isinstance(box, Box):
        return shapes
    if isinstance(shapes[0], Box):
        check_angles(entry, where)
    attributes = entry.get("attributes")
    degrees = attributes.get("rotation") if isinstance(attributes, dict) else None
    turned = rotated(box, angle(degrees, "attributes.rotation", where))
    return shapes if turned is box else [turned]


def _as_box(points: tuple[tuple[float, float], ...]) -> Box | None:
    """The upright box that an outline draws, if it does."""
    x, y = zip(*points, strict=True)
    corners = {(a, b) for a in (min(x), max(x)) for b in (min(y), max(y))}
    if len(points) not in (4, 5) or set(points) != corners:
        return None
    return Box(min(x), min(y), max(x) - min(x), max(y) - min(y))


FORMAT = Format("COCO JSON", ".json", matches, read)
