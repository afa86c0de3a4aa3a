"""labelme JSON: polygons, rectangles, circles and masks, a file for each image."""

import base64
import math
import warnings
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sib.data.readers.annotations.entry import (
    Annotation,
    Format,
    Shape,
    class_name,
    image_size,
    number,
    outline,
    shown,
    text,
)
from sib.data.readers.annotations.rotation import ellipse
from sib.data.readers.decode import MAX_PIXELS
from sib.data.sample import Box
from sib.data.shapes import pack_bitmap
from sib.utils.errors import InputError

OUTLINES = ("polygon", "rotation", "oriented_rectangle")
"""Shapes given by their corners; rotated boxes of X-AnyLabeling and labelme are two."""
NO_OBJECTS = ("_background_", "__ignore__")
"""labelme's names of what is not an object."""
WITHOUT_AREA = ("point", "points", "line", "linestrip")


def matches(content: Any) -> bool:
    """Whether JSON holds ``shapes``."""
    return isinstance(content, dict) and isinstance(content.get("shapes"), list)


def read(content: dict[str, Any], path: Path) -> Iterator[Annotation]:
    """The annotation of a file; its image is ``imagePath``, or has the file's name.

    The image's copy in ``imageData`` is not read.

    Raises:
        InputError: a shape of another kind, or a value that is not allowed.
    """
    size = image_size(content.get("imageHeight"), content.get("imageWidth"))
    name = content.get("imagePath")
    names = (text(name, "imagePath", str(path)), path.stem) if name else (path.stem,)
    shapes = tuple(
        _shape(entry, size, f"{path}, shape {index}")
        for index, entry in enumerate(content["shapes"])
    )
    classes = tuple(class_name(entry.get("label")) for entry in content["shapes"])
    yield Annotation(names, shapes, str(path), size, classes=classes)


def _shape(entry: Any, size: tuple[int, int] | None, where: str) -> Shape:
    if not isinstance(entry, dict):
        raise InputError(f"{where}: a shape must have points; got {shown(entry)}")
    kind = entry.get("shape_type") or "polygon"
    points = _points(entry.get("points"), where)
    if kind in WITHOUT_AREA or entry.get("label") in NO_OBJECTS:
        return Box(*points[0], 0.0, 0.0)  # left out, and counted as an object without area
    if kind in OUTLINES or (kind == "rectangle" and len(points) == 4):
        return outline([value for point in points for value in point], where)
    if kind not in ("rectangle", "circle", "mask"):
        raise InputError(
            f"{where}: shape_type must be polygon, rectangle, circle, mask, point, line or "
            f"linestrip; got {shown(kind)}"
        )
    if len(points) != 2:
        raise InputError(f"{where}: a {kind} has two points; got {len(points)}")
    (x0, y0), (x1, y1) = points
    if kind == "circle":
        radius = math.hypot(x1 - x0, y1 - y0)
        return ellipse(x0, y0, radius, radius)
    if kind == "mask":
        return _mask(entry.get("mask"), (round(min(x0, x1)), round(min(y0, y1))), size, where)
    return Box(min(x0, x1), min(y0, y1), abs(x1 - x0), abs(y1 - y0))


def _points(points: Any, where: str) -> list[tuple[float, float]]:
    pairs = isinstance(points, list) and all(isinstance(p, list) and len(p) == 2 for p in points)
    if not pairs or not points:
        raise InputError(f"{where}: points must be a list of x and y; got {shown(points)}")
    return [(number(x, "a point's x", where), number(y, "a point's y", where)) for x, y in points]


def _mask(content: Any, corner: tuple[int, int], size: tuple[int, int] | None, where: str) -> Shape:
    """A base64 PNG, placed with its upper left corner at a pixel of the image."""
    if size is None or size[0] * size[1] > MAX_PIXELS:
        raise InputError(
            f"{where}: a mask needs imageHeight and imageWidth of at most {MAX_PIXELS} pixels"
        )
    found = _decoded(content, size, where)
    left, top = corner
    inside = found[max(0, -top) : max(0, size[0] - top), max(0, -left) : max(0, size[1] - left)]
    mask = np.zeros(size, dtype=bool)
    rows, columns = max(0, top), max(0, left)
    mask[rows : rows + inside.shape[0], columns : columns + inside.shape[1]] = inside
    return pack_bitmap(mask) if mask.any() else Box(left, top, 0.0, 0.0)


def _decoded(content: Any, size: tuple[int, int], where: str) -> np.ndarray:
    if not isinstance(content, str):
        raise InputError(f"{where}: mask must be a PNG in base64; got {shown(content)}")
    larger = f"than its image of {size[1]} × {size[0]} (imageWidth × imageHeight)"
    try:
        with warnings.catch_warnings():
            # Pillow's own limits: it warns about what ours allow, and refuses above
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(BytesIO(base64.b64decode(content)), formats=("PNG",)) as image:
                if image.width > size[1] or image.height > size[0]:  # known from its header
                    own = f"{image.width} × {image.height} pixels"
                    raise InputError(f"{where}: the mask of {own} is larger {larger}")
                return np.asarray(image.convert("L")) > 0
    except (InputError, MemoryError):
        raise
    except Image.DecompressionBombError:
        raise InputError(f"{where}: the mask is far larger {larger}") from None
    # Pillow lets many kinds of exceptions through from damaged files
    except Exception as error:
        reason = type(error).__name__
        raise InputError(f"{where}: the mask is not a PNG in base64: {reason}") from None


FORMAT = Format("labelme JSON", ".json", matches, read)
