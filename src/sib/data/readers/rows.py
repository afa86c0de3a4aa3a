"""Rows of a table in text: CSV, with semicolons or tabs as well."""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

from sib.utils.errors import InputError

SEPARATOR_LINE = re.compile(r"sep=[,;\t]", re.IGNORECASE)


def columns_of(content: str) -> list[str]:
    """The names in the first line, in lower case; none if it is not CSV."""
    first = _without_mark(content)[0].split("\n", 1)[0]
    try:
        row = next(csv.reader([first], delimiter=_delimiter(first)), [])
    except csv.Error:
        return []
    return [name.strip().lower() for name in row]


def rows_of(content: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not blank, including the header, each with the number of its last line.

    Args:
        content: of a file whose cells are divided by commas, or by semicolons or tabs where its
            first line has no comma.
        path: of the file, for messages.

    Raises:
        InputError: a row is not CSV.
    """
    content, before = _without_mark(content)
    delimiter = _delimiter(content.split("\n", 1)[0])
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=delimiter)
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                yield reader.line_num + before, row
    except csv.Error as error:
        raise InputError(
            f"{path}, line {reader.line_num + before} is not valid CSV: {error}"
        ) from None


def full_rows(content: str, path: Path) -> Iterator[tuple[str, list[str]]]:
    """The rows below the header, each with its place for messages.

    Raises:
        InputError: a row is not CSV, or has more or fewer cells than the header.
    """
    width = len(columns_of(content))
    rows = rows_of(content, path)
    next(rows)
    for line, row in rows:
        where = f"{path}, line {line}"
        if len(row) != width:
            raise InputError(f"{where}: {width} columns are needed; got {len(row)}")
        yield where, row


def _without_mark(content: str) -> tuple[str, int]:
    """The table below Excel's line ``sep=;``, and the number of lines above it."""
    first, _, rest = content.partition("\n")
    return (rest, 1) if SEPARATOR_LINE.fullmatch(first.strip("\r ")) else (content, 0)


def _delimiter(header: str) -> str:
    return next((mark for mark in ("\t", ";") if mark in header and "," not in header), ",")
