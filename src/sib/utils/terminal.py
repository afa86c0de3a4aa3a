"""A terminal that names in files cannot command, and tables for people and for programs."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any, Literal, get_args

from rich.console import Console
from rich.measure import Measurement
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

CODES = {*range(32), *range(127, 160)} - {ord("\n"), ord("\t")}
DIRECTIONS = {*range(0x202A, 0x202F), *range(0x2066, 0x206A)}
"""Marks that turn the direction of writing, so that a name looks like another one."""
UNDECODABLE = range(0xD800, 0xE000)
"""How Python holds the bytes of a file's name that are not UTF-8; they cannot be written."""
CONTROLS = dict.fromkeys(CODES | DIRECTIONS | {*UNDECODABLE}, "\N{REPLACEMENT CHARACTER}")


TableFormat = Literal["table", "csv", "json"]
FORMATS: tuple[str, ...] = get_args(TableFormat)
WIDEST = 10_000
"""Columns of text that a table may take where no screen ends it."""

Row = dict[str, Any]


class Terminal(Console):
    """Prints control characters in any text as U+FFFD; the terminal's own styles stay.

    The name of a file or a class may hold an escape sequence, which would move the cursor, change
    the window's title or write other words over ours.

    Args:
        table_format: of what `show_tables` prints. With ``"csv"`` and ``"json"`` all other text
            goes to standard error, so that a program can read the output.
        only_tables: leave out all other text.
        options: of rich's console.
    """

    def __init__(
        self, *, table_format: str = "table", only_tables: bool = False, **options: Any
    ) -> None:
        if only_tables:
            options["force_terminal"] = False  # so that there are no progress bars either
        super().__init__(**options)
        self.table_format = table_format
        self.only_tables = only_tables and table_format == "table"
        self._aside: Console | None = None
        if table_format != "table":
            self._aside = Terminal(stderr=True, only_tables=only_tables)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as rich does, where and if such text is wanted."""
        if self._aside is not None:
            self._aside.print(*objects, **options)
        elif not self.only_tables:
            super().print(*objects, **options)

    def table(self, table: Table) -> None:
        """Print a table, in full width where no screen ends it."""
        before = self.width
        if not self.is_terminal:
            room = self.options.update(max_width=WIDEST)
            self.width = max(before, Measurement.get(self, room, table).maximum)
        try:
            super().print(table)
        finally:
            self.width = before

    def write(self, text: str) -> None:
        """Write text for a program, as it is but for control characters."""
        super().print(Text(text), soft_wrap=True, highlight=False)

    def render(self, *arguments: Any, **options: Any) -> Iterable[Segment]:
        """The segments of anything that can be printed, without control characters."""
        for segment in super().render(*arguments, **options):
            if segment.control is None:
                yield Segment(segment.text.translate(CONTROLS), segment.style)
            else:
                yield segment


def show_tables(
    console: Console, tables: Sequence[Table], rows: Sequence[Row] | None = None
) -> None:
    """Print tables in the format that the console was given.

    Args:
        console: a `Terminal`, or one of rich's own, which prints tables only.
        tables: for people.
        rows: the same for programs, with all digits; the cells of the tables where not given.
    """
    if not isinstance(console, Terminal):
        for table in tables:
            console.print(table)
        return
    if console.table_format == "table":
        for table in tables:
            console.table(table)
        return
    if rows is None:
        several = len(tables) > 1
        rows = [_titled(table, row, several) for table in tables for row in _rows(table)]
    known = list(rows)
    as_json = console.table_format == "json"
    console.write(json.dumps(known, ensure_ascii=False) if as_json else to_csv(known))


def to_csv(rows: Sequence[Row]) -> str:
    """Rows as CSV with a line of names; a value that a row lacks is empty."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().rstrip("\n")


def _rows(table: Table) -> list[Row]:
    """The cells of a table as plain text, by the heads of their columns."""
    heads = [_plain(column.header) for column in table.columns]
    columns = [[_plain(cell) for cell in column.cells] for column in table.columns]
    return [dict(zip(heads, cells, strict=True)) for cells in zip(*columns, strict=True)]


def _titled(table: Table, row: Row, several: bool) -> Row:
    return {"table": _plain(table.title or ""), **row} if several else row


def _plain(cell: Any) -> str:
    text = Text.from_markup(cell).plain if isinstance(cell, str) else str(cell)
    return " ".join(text.split())
