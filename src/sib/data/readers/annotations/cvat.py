"""CVAT's own XML for images: boxes, polygons, ellipses and masks, all images in one file."""

from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from sib.data.readers.annotations.entry import (
    Annotation,
    Format,
    Shape,
    box_of_edges,
    class_name,
    image_size,
    number,
    outline,
    shown,
    text,
)
from sib.data.readers.annotations.rotation import angle, ellipse, rotated
from sib.data.readers.decode import MAX_PIXELS
from sib.data.sample import Box
from sib.data.shapes import pack_bitmap
from sib.utils.errors import InputError

EDGES = ("xtl", "ytl", "xbr", "ybr")
WITHOUT_AREA = ("points", "polyline", "skeleton")
WITHOUT_PLACE = ("tag", "attribute")


def matches(root: Element) -> bool:
    """Whether XML holds ``<annotations>`` of images or tracks."""
    found = root.find("image") is not None or root.find("track") is not None
    return root.tag == "annotations" and found


def read(root: Element, path: Path) -> Iterator[Annotation]:
    """One annotation for each ``<image>``.

    ``rotation`` of a box and an ellipse is in degrees, clockwise about its centre.

    Raises:
        InputError: a video, a shape of another kind, or a value that is not allowed.
    """
    if root.find("track") is not None:
        raise InputError(f"{path} holds tracks of a video: export its frames as CVAT for images")
    for index, image in enumerate(root.iter("image")):
        where = f"{path}, image {index}"
        name = text(image.get("name"), "name", where)
        size = _size(image, where)
        found = [
            (_shape(entry, size, f"{where}, <{entry.tag}> {place}"), entry.get("label"))
            for place, entry in enumerate(image)
            if entry.tag not in WITHOUT_PLACE
        ]
        classes = tuple(class_name(label) for _, label in found)
        yield Annotation((name,), tuple(shape for shape, _ in found), where, size, classes=classes)


def _size(image: Element, where: str) -> tuple[int, int] | None:
    sides = [image.get(name) for name in ("height", "width")]
    if None in sides:
        return None
    height, width = (number(side, "a side of the image", where) for side in sides)
    return image_size(int(height), int(width))


def _shape(entry: Element, size: tuple[int, int] | None, where: str) -> Shape:
    def value(name: str) -> float:
        return number(entry.get(name), name, where)

    degrees = angle(entry.get("rotation"), "rotation", where)
    if entry.tag == "box":
        left, top, right, bottom = map(value, EDGES)
        return rotated(box_of_edges((left, top, right, bottom), where), degrees)
    if entry.tag == "ellipse":
        return ellipse(value("cx"), value("cy"), value("rx"), value("ry"), degrees)
    if entry.tag == "polygon":
        pairs = (entry.get("points") or "").split(";")
        return outline([each for pair in pairs for each in pair.split(",")], where)
    if entry.tag == "mask":
        return _mask(entry, size, where)
    if entry.tag in WITHOUT_AREA:
        return Box(0.0, 0.0, 0.0, 0.0)  # left out, and counted as an object without area
    raise InputError(
        f"{where} is not read; allowed are box, polygon, ellipse and mask: export the task as "
        "COCO 1.0"
    )


def _mask(entry: Element, size: tuple[int, int] | None, where: str) -> Shape:
    """Run lengths along the rows of a part of the image, background first."""
    if size is None or size[0] * size[1] > MAX_PIXELS:
        raise InputError(
            f"{where}: a mask needs width and height of an image of at most {MAX_PIXELS} pixels"
        )
    left, top, width, height = (
        int(number(entry.get(name), name, where)) for name in ("left", "top", "width", "height")
    )
    words = (entry.get("rle") or "").split(",")
    if not all(word.strip().isdecimal() and len(word) < 12 for word in words):
        raise InputError(f"{where}: rle must be whole numbers; got {shown(entry.get('rle'))}")
    counts = [int(word) for word in words]
    inside = min(left, top) >= 0 and left + width <= size[1] and top + height <= size[0]
    if min(width, height) < 1 or not inside or sum(counts) != width * height:
        raise InputError(
            f"{where}: rle must sum to the pixels of its part of the image, {width} × {height} at "
            f"{left}, {top}; got {sum(counts)}"
        )
    part = np.zeros(width * height, dtype=bool)
    ends = list(accumulate(counts))
    for start, end in zip(ends[::2], ends[1::2], strict=False):
        part[start:end] = True
    mask = np.zeros(size, dtype=bool)
    mask[top : top + height, left : left + width] = part.reshape(height, width)
    return pack_bitmap(mask) if mask.any() else Box(0.0, 0.0, 0.0, 0.0)


FORMAT = Format("CVAT XML", ".xml", matches, read)
