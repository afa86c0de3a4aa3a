"""Boxes in a table: CSV, or a TSV of the same columns."""

from collections.abc import Iterator
from pathlib import Path

from sib.data.readers.annotations.entry import (
    Annotation,
    Format,
    box_of_edges,
    box_of_extent,
    image_size,
    number,
    text,
)
from sib.data.readers.rows import columns_of, rows_of
from sib.data.sample import Box
from sib.utils.errors import InputError

NAMES = ("image", "filename")
EXTENT, EDGES = ("x", "y", "width", "height"), ("xmin", "ymin", "xmax", "ymax")


def matches(content: str) -> bool:
    """Whether the first line names a column ``image`` or ``filename``."""
    header = columns_of(content)
    return any(name in header for name in NAMES)


def read(content: str, path: Path) -> Iterator[Annotation]:
    """The annotation of each row: one box, in pixels.

    The columns are ``image``, and ``x``, ``y``, ``width`` and ``height`` or ``xmin``, ``ymin``,
    ``xmax`` and ``ymax``; with the latter ``width`` and ``height`` are the image's. Other columns
    are not used.

    Raises:
        InputError: a column is missing, or a value is not allowed.
    """
    header = columns_of(content)
    columns = _boxes_in(header, path)
    rows = rows_of(content, path)
    next(rows)
    for line, row in rows:
        where = f"{path}, line {line}"
        if len(row) != len(header):
            raise InputError(f"{where}: {len(header)} columns are needed; got {len(row)}")
        yield _annotation(dict(zip(header, row, strict=True)), columns, where)


def _annotation(row: dict[str, str], columns: tuple[str, ...], where: str) -> Annotation:
    name = text(row[next(name for name in NAMES if name in row)], "the image", where)
    a, b, c, d = (number(row[column], column, where) for column in columns)
    if columns == EXTENT:
        return Annotation((name,), (box_of_extent((a, b, c, d), where),), where)
    box: Box = box_of_edges((a, b, c, d), where)
    size = None
    if "width" in row and "height" in row:
        height, width = (number(row[side], side, where) for side in ("height", "width"))
        size = image_size(int(height), int(width))
    return Annotation((name,), (box,), where, size)


def _boxes_in(header: list[str], path: Path) -> tuple[str, ...]:
    if len(set(header)) < len(header):
        raise InputError(f"{path} names a column twice: {', '.join(header)[:200]}")
    edges, extent = (all(column in header for column in group) for group in (EDGES, EXTENT))
    if edges and extent:
        raise InputError(f"{path} has both xmin … ymax and x … height; keep one of them")
    if not edges and not extent:
        raise InputError(
            f"{path} needs the columns {', '.join(EXTENT)} or {', '.join(EDGES)} beside "
            f"{' or '.join(NAMES)}; got {', '.join(header)[:200]}"
        )
    return EDGES if edges else EXTENT


FORMAT = Format("CSV of boxes", ".csv", matches, read)
TABS = FORMAT._replace(ending=".tsv")
