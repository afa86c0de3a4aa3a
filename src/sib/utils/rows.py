"""Rows of values as text for programs."""

import csv
import io
import json
from collections.abc import Sequence
from typing import Any, Literal, get_args

TableFormat = Literal["table", "csv", "json", "markdown"]
FORMATS: tuple[str, ...] = get_args(TableFormat)
Row = dict[str, Any]


def to_csv(rows: Sequence[Row]) -> str:
    """Rows as CSV with a line of names; a value that a row lacks is empty."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().rstrip("\n")


def to_json(rows: Sequence[Row]) -> str:
    """Rows as a JSON list of objects."""
    return json.dumps(list(rows), ensure_ascii=False)


def to_markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Cells of text as a table in Markdown.

    Args:
        heads: of the columns.
        rows: as many cells each.
    """
    lines = [heads, ["---"] * len(heads), *rows]
    escaped = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in escaped)
