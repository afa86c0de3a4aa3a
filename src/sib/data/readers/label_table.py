"""A table of the labels of images: a column that lists them, or a column for each label."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sib.data.readers.annotations.load import load_text
from sib.data.readers.kinds import IMAGE_KINDS
from sib.data.readers.rows import rows_of
from sib.utils.errors import InputError

IMAGE_COLUMNS = ("image", "filename", "file", "path", "image_name", "image_id", "name", "id")
LABEL_COLUMNS = ("labels", "label", "tags", "classes", "class", "categories")
SEPARATORS = {";": "semicolons", "|": "bars", ",": "commas", " ": "spaces"}
"""Between the labels of a cell, by what takes precedence."""
PRESENT = {"1": True, "1.0": True, "true": True, "0": False, "0.0": False, "false": False}
UNKNOWN = ("", "-1", "-1.0", "nan", "none", "?")
"""Words with which tables mark an unknown label, which is refused."""


@dataclass(frozen=True)
class LabelRow:
    """The labels of one image."""

    image: str
    labels: tuple[int, ...]
    """Numbers of classes, ascending."""
    where: str
    """The place in the file, for messages."""


@dataclass(frozen=True)
class LabelTable:
    """A table of labels."""

    path: Path
    classes: list[str]
    rows: list[LabelRow]
    format: str
    """How it was read, in words."""


def read_label_table(path: Path) -> LabelTable:
    """Read the labels of images from CSV, in the form that its content shows.

    Where every column but the image's holds 0 and 1 alone (or true and false), and there are at
    least two, each is a label, in the order of the columns. Where a few rows hold something else,
    the first of them is named. Otherwise a column ``labels`` (or
    ``tags``, ``classes`` and the like), or the only one beside the image's, lists the labels of an
    image with ``;``, ``|``, commas or spaces between them; the classes are then sorted by name. The
    image's column is called ``image``, ``filename`` or the like, or else is the first.

    Raises:
        InputError: the file cannot be read, has no rows or fewer than two labels, or a row is
            incomplete.
    """
    path = path.expanduser()
    found = list(rows_of(load_text(path), path))
    if len(found) < 2:
        raise InputError(f"labels: {path} holds no row below its first line")
    header, rows = _named_columns(found)
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"labels: {path} has two columns {twice!r}")
    for line, row in rows:
        if len(row) != len(header):
            raise InputError(
                f"{path}, line {line}: {len(header)} columns are needed; got {len(row)}"
            )
    place = _place_of(header, IMAGE_COLUMNS) or 0
    for line, row in rows:
        if not row[place].strip():
            raise InputError(f"{path}, line {line} names no image")
    if Path(header[place]).suffix.lower() in IMAGE_KINDS:
        raise InputError(
            f"labels: {path} begins with the image {header[place]}; its first line must name the "
            "columns, such as image,labels"
        )
    others = [column for column in range(len(header)) if column != place]
    if len(others) > 1 and _is_one_hot(header, rows[:100], others):
        return _one_hot(path, header, rows, place, others)
    return _listed(path, header, rows, place, others)


Rows = Sequence[tuple[int, list[str]]]


def _named_columns(found: Rows) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Header and rows without columns that have no name: empty ones, and pandas' row numbers."""
    (_, header), *rows = found
    header = [name.strip() for name in header]
    if any(len(row) != len(header) for _, row in rows):
        return header, rows
    columns = [[row[column].strip() for _, row in rows] for column in range(len(header))]
    numbers = [str(number) for number in range(len(rows))]
    kept = [
        column
        for column, name in enumerate(header)
        if name or (any(columns[column]) and columns[column] != numbers)
    ]
    return [header[c] for c in kept], [(line, [row[c] for c in kept]) for line, row in rows]


def _is_one_hot(header: Sequence[str], rows: Rows, columns: list[int]) -> bool:
    """Whether the columns hold 0 and 1; most of their cells are enough if none is called labels."""
    cells = [row[column].strip().lower() for _, row in rows for column in columns]
    if all(cell in PRESENT for cell in cells):
        return True
    near = sum(cell in PRESENT or cell in UNKNOWN for cell in cells)
    return _place_of(header, LABEL_COLUMNS) is None and 2 * near > len(cells)


def _place_of(header: Sequence[str], names: Sequence[str]) -> int | None:
    lower = [name.lower().replace(" ", "_") for name in header]
    return next((lower.index(name) for name in names if name in lower), None)


def _one_hot(
    path: Path, header: list[str], rows: Rows, place: int, columns: list[int]
) -> LabelTable:
    found = []
    for line, row in rows:
        where = f"{path}, line {line}"
        for column in columns:
            if row[column].strip().lower() not in PRESENT:
                raise InputError(
                    f"{where}: {header[column]} must be 0 or 1; got {row[column].strip()!r}"
                )
        labels = tuple(label for label, c in enumerate(columns) if PRESENT[row[c].strip().lower()])
        found.append(LabelRow(row[place].strip(), labels, where))
    classes = [header[column] for column in columns]
    return LabelTable(path, classes, found, "a column of 0 and 1 for each label")


def _listed(
    path: Path, header: list[str], rows: Rows, place: int, columns: list[int]
) -> LabelTable:
    named = _place_of(header, LABEL_COLUMNS)
    column = columns[0] if len(columns) == 1 else named
    if column is None or column == place:
        raise InputError(
            f"labels: {path} needs a column labels beside {header[place]}, or a column of 0 and 1 "
            f"for each label; got {', '.join(header)[:200]}"
        )
    cells = [row[column].strip() for _, row in rows]
    separator = next((mark for mark in SEPARATORS if any(mark in cell for cell in cells)), ";")
    listed = []
    for (line, row), cell in zip(rows, cells, strict=True):
        names = [name.strip() for name in cell.split(separator) if name.strip()]
        if not names:
            raise InputError(
                f"{path}, line {line}: {row[place].strip()} has no label; images without one need "
                "a table with a column of 0 and 1 for each label"
            )
        if len(set(names)) < len(names):
            raise InputError(f"{path}, line {line} names a label twice: {cell}")
        listed.append(names)
    classes = sorted({name for names in listed for name in names})
    if len(classes) < 2:
        raise InputError(
            f"labels: {path} names only one label, {classes[0]}; at least two are needed"
        )
    number = {name: label for label, name in enumerate(classes)}
    found = [
        LabelRow(
            row[place].strip(), tuple(sorted(number[n] for n in names)), f"{path}, line {line}"
        )
        for (line, row), names in zip(rows, listed, strict=True)
    ]
    words = f"the column {header[column]}, {SEPARATORS[separator]} between labels"
    return LabelTable(path, classes, found, words)
