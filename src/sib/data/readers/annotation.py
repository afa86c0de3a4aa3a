"""Boxes from the XML annotations of Stanford Dogs and ImageNet."""

import math
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import parse

from sib.data.sample import Box
from sib.utils.errors import InputError

LARGEST = 2**20
"""Most bytes of a file; an annotation has a few hundred for each of its boxes."""
EDGES = ("xmin", "ymin", "xmax", "ymax")


def read_boxes(path: Path, size: tuple[int, int]) -> tuple[Box, ...]:
    """The boxes of a PASCAL VOC annotation, one for each ``<object>``.

    The edges are in pixels of the annotation's ``<size>``, which may differ from the file's; they
    are scaled to the file's. If ``<size>`` is 0 or missing, the file's is used.

    Args:
        path: the XML file.
        size: height and width of its upright image.

    Returns:
        The boxes, which may leave the image.

    Raises:
        InputError: the file cannot be read, is not such an annotation, or declares entities or a
            document type, which are never expanded.
    """
    root = parse_xml(path)
    if root.find("object") is None:
        raise InputError(f"{path} holds no box; it needs an <object> with a <bndbox>")
    height, width = size
    across = width / (_extent(root, "width", path) or width)
    down = height / (_extent(root, "height", path) or height)
    return tuple(_box(entry, across, down, path) for entry in root.iter("object"))


def parse_xml(path: Path, largest: int = LARGEST) -> Element:
    """The root of an XML file, without entities, a document type or more than ``largest`` bytes.

    Raises:
        InputError: the file cannot be read or is not such XML.
    """
    try:
        if path.stat().st_size > largest:
            raise InputError(f"{path} has more than {largest} bytes, too many for an annotation")
        root = parse(path, forbid_dtd=True).getroot()
    except FileNotFoundError:
        raise InputError(f"{path} is missing") from None
    except DefusedXmlException:
        raise InputError(
            f"{path} declares a document type or entities; an annotation must not"
        ) from None
    # a wrong encoding is a ValueError or a LookupError
    except (ParseError, ValueError, LookupError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is not valid XML: {error}") from None
    assert root is not None
    return root


def _box(entry: Element, across: float, down: float, path: Path) -> Box:
    left, top, right, bottom = (_number(entry.find("bndbox"), edge, path) for edge in EDGES)
    return Box(left * across, top * down, (right - left) * across, (bottom - top) * down)


def _extent(root: Element, name: str, path: Path) -> float:
    size = root.find("size")
    return 0.0 if size is None or size.find(name) is None else _number(size, name, path)


def _number(parent: Element | None, name: str, path: Path) -> float:
    text = None if parent is None else parent.findtext(name)
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not 0 <= abs(value) < 1e6:
        shown = "nothing" if text is None else repr(text)
        raise InputError(f"{path}: <{name}> must be a number of pixels; got {shown}")
    return value
