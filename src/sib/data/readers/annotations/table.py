"""Boxes in a table: CSV, or a TSV of the same columns."""

from collections.abc import Iterator
from pathlib import Path

from sib.data.readers.annotations.entry import (
    Annotation,
    Format,
    box_of_edges,
    box_of_extent,
    class_name,
    image_size,
    number,
    text,
)
from sib.data.readers.annotations.rotation import check_angles
from sib.data.readers.rows import columns_of, full_rows
from sib.data.sample import Box
from sib.utils.errors import InputError

NAMES = ("image", "filename")
CLASSES = ("class", "label", "class_name", "category")
"""Columns that may name the class of a box."""
EXTENT, EDGES = ("x", "y", "width", "height"), ("xmin", "ymin", "xmax", "ymax")
ALIASES = {
    **dict.fromkeys(("image_name", "image_id", "imageid", "image_path"), "image"),
    **dict.fromkeys(("file", "file_name", "path", "img", "img_name"), "image"),
    **dict(zip(("x1", "y1", "x2", "y2"), EDGES, strict=True)),
    **dict(zip(("left", "top", "right", "bottom"), EDGES, strict=True)),
    **dict(zip(("x_min", "y_min", "x_max", "y_max"), EDGES, strict=True)),
    **dict(zip(("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2"), EDGES, strict=True)),
    **dict(zip(("roi.x1", "roi.y1", "roi.x2", "roi.y2"), EDGES, strict=True)),
    **dict(zip(("bbox_x", "bbox_y", "bbox_width", "bbox_height"), EXTENT, strict=True)),
}
"""Columns under the names that other tools give them."""
_WHOLE = "A box in one cell may be x, y, width, height or xmin, ymin, xmax, ymax: divide it into"
HINTS = {
    "region_shape_attributes": "This is VIA's own CSV: export the annotations as COCO",
    "annotation_id": "This is Label Studio's own CSV: export the project as COCO",
    **dict.fromkeys(("bbox", "box", "boxes", "bboxes", "bounding_box"), f"{_WHOLE} four columns"),
    "predictionstring": f"{_WHOLE} four columns, with a row for each box",
    **dict.fromkeys(
        ("encodedpixels", "rle", "segmentation", "polygon"),
        "Outlines and run lengths in a table are not read: give masks as images, or COCO JSON",
    ),
    **dict.fromkeys(
        ("cx", "x_center", "xc", "center_x", "xcenter"),
        "Boxes by their centre are not read from a table: xmin is the centre minus half the width",
    ),
}
"""What to do about tables of another form, by their columns."""


def matches(content: str) -> bool:
    """Whether the first line names the image, or the edges of a box."""
    header = _header(content)
    return any(name in header for name in NAMES) or set(EDGES) <= set(header)


def _header(content: str) -> list[str]:
    """The columns, under our names where the file has none of that name."""
    header = columns_of(content)
    found = [
        header[i] if ALIASES.get(name) in header else ALIASES.get(name, name)
        for i, name in enumerate(header)
    ]
    if "w" in found and "h" in found and {"x", "y"} <= set(found):
        found = [{"w": "width", "h": "height"}.get(name, name) for name in found]
    return found


def read(content: str, path: Path) -> Iterator[Annotation]:
    """The annotation of each row: one box, in pixels.

    The columns are ``image``, and ``x``, ``y``, ``width`` and ``height`` or ``xmin``, ``ymin``,
    ``xmax`` and ``ymax``; with the latter ``width`` and ``height`` are the image's. `ALIASES` of
    these are taken as well. A column of `CLASSES` names the class of the box. Other columns are not
    used. A row whose four cells are empty names an image without an object.

    Raises:
        InputError: a column is missing, or a value is not allowed.
    """
    header = _header(content)
    columns = _boxes_in(header, path)
    for where, row in full_rows(content, path):
        yield _annotation(dict(zip(header, row, strict=True)), columns, where)


def _annotation(row: dict[str, str], columns: tuple[str, ...], where: str) -> Annotation:
    name = text(row[next(name for name in NAMES if name in row)], "the image", where)
    if not any(row[column].strip() for column in columns):  # an image without an object
        return Annotation((name,), (), where)
    own = (class_name(next((row[column] for column in CLASSES if column in row), None)),)
    a, b, c, d = (number(row[column], column, where) for column in columns)
    check_angles(dict(row), where)
    if columns == EXTENT:
        shapes = (box_of_extent((a, b, c, d), where),)
        return Annotation((name,), shapes, where, classes=own)
    box: Box = box_of_edges((a, b, c, d), where)
    size = None
    if "width" in row and "height" in row:
        height, width = (number(row[side], side, where) for side in ("height", "width"))
        size = image_size(int(height), int(width))
    return Annotation((name,), (box,), where, size, classes=own)


def _boxes_in(header: list[str], path: Path) -> tuple[str, ...]:
    if len(set(header)) < len(header):
        raise InputError(f"{path} names a column twice: {', '.join(header)[:200]}")
    edges, extent = (all(column in header for column in group) for group in (EDGES, EXTENT))
    if not any(name in header for name in NAMES):
        raise InputError(
            f"{path} needs a column {' or '.join(NAMES)}; got {', '.join(header)[:200]}"
        )
    if edges and extent:
        raise InputError(f"{path} has both xmin … ymax and x … height; keep one of them")
    if not edges and not extent:
        raise InputError(
            f"{path} needs the columns {', '.join(EXTENT)} or {', '.join(EDGES)} beside "
            f"{' or '.join(NAMES)}; got {', '.join(header)[:200]}{_hint(header)}"
        )
    return EDGES if edges else EXTENT


def _hint(header: list[str]) -> str:
    """What to do about a table of another form, by one of its columns."""
    return next((f". {hint}" for column, hint in HINTS.items() if column in header), "")


FORMAT = Format("CSV of boxes", ".csv", matches, read)
TABS = FORMAT._replace(ending=".tsv")
