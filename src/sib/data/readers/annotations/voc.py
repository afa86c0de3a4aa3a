"""PASCAL VOC XML: boxes, a file for each image."""

import math
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

from sib.data.readers.annotation import EDGES
from sib.data.readers.annotations.entry import (
    Annotation,
    Format,
    box_of_edges,
    box_of_extent,
    class_name,
    image_size,
    number,
)
from sib.data.readers.annotations.rotation import angle, rotated
from sib.data.sample import Box
from sib.data.shapes import Polygon
from sib.utils.errors import InputError


def matches(root: Element) -> bool:
    """Whether XML is an ``<annotation>``."""
    return root.tag == "annotation"


def read(root: Element, path: Path) -> Iterator[Annotation]:
    """The annotation of a file.

    Edges are used as they are, counted from 0, as LabelImg's successors, CVAT and Label Studio
    write them; the original PASCAL VOC counts pixels from 1. Boxes that CVAT or roLabelImg turned
    are drawn turned. The image is ``<filename>``, or else the one with the file's name.

    Raises:
        InputError: a box that is missing or not allowed.
    """
    name = (root.findtext("filename") or "").strip()
    names = (name, path.stem) if name else (path.stem,)
    boxes = tuple(_box(entry, f"{path}, object {n}") for n, entry in enumerate(root.iter("object")))
    classes = tuple(class_name(entry.findtext("name")) for entry in root.iter("object"))
    yield Annotation(names, boxes, str(path), _size(root, str(path)), classes=classes)


def _box(entry: Element, where: str) -> Box | Polygon:
    box, turned = entry.find("bndbox"), entry.find("robndbox")
    if box is None and turned is not None:
        return _turned(turned, where)
    if box is None and entry.find("polygon/pt") is not None:
        raise InputError(f"{where} is an outline in LabelMe's XML: export the annotations as COCO")
    if box is None:
        raise InputError(f"{where} has no <bndbox>; boxes alone are read from PASCAL VOC")
    left, top, right, bottom = (number(box.findtext(edge), f"<{edge}>", where) for edge in EDGES)
    found = box_of_edges((left, top, right, bottom), where)
    return rotated(found, angle(_attribute(entry, "rotation"), "rotation", where))


def _attribute(entry: Element, name: str) -> str | None:
    """An attribute of an object, as CVAT writes it."""
    named = (each for each in entry.iter("attribute") if each.findtext("name") == name)
    return next((each.findtext("value") for each in named), None)


def _turned(box: Element, where: str) -> Box | Polygon:
    """A box of roLabelImg, turned by an angle in radians, clockwise about its centre."""
    x, y, width, height, radians = (
        number(box.findtext(name), f"<{name}>", where) for name in ("cx", "cy", "w", "h", "angle")
    )
    found = box_of_extent((x - width / 2, y - height / 2, width, height), where)
    return rotated(found, math.degrees(radians))


def _size(root: Element, where: str) -> tuple[int, int] | None:
    size = root.find("size")
    if size is None or size.find("height") is None or size.find("width") is None:
        return None
    height, width = (
        number(size.findtext(name), f"<{name}>", where) for name in ("height", "width")
    )
    return image_size(int(height), int(width))


FORMAT = Format("PASCAL VOC XML", ".xml", matches, read)
