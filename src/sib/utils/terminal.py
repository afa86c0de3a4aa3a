"""A terminal that names in files cannot command, and tables for people and for programs."""

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from sib.utils.rows import Row, to_csv, to_json, to_markdown

CODES = {*range(32), *range(127, 160)} - {ord("\n"), ord("\t")}
DIRECTIONS = {*range(0x202A, 0x202F), *range(0x2066, 0x206A)}
"""Marks that turn the direction of writing, so that a name looks like another one."""
UNDECODABLE = range(0xD800, 0xE000)
"""How Python holds the bytes of a file's name that are not UTF-8; they cannot be written."""
CONTROLS = dict.fromkeys(CODES | DIRECTIONS | {*UNDECODABLE}, "\N{REPLACEMENT CHARACTER}")
WIDEST = 10_000
"""Columns of text that a table may take where no screen ends it."""


class Terminal(Console):
    """Prints control characters in any text as U+FFFD; the terminal's own styles stay.

    The name of a file or a class may hold an escape sequence, which would move the cursor, change
    the window's title or write other words over ours.

    Args:
        table_format: of what `show_tables` prints, one of `sib.utils.rows.FORMATS`. In all but
            ``"table"``, other text goes to standard error, so that a program can read the output.
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
        self.is_quiet = only_tables
        self.only_tables = only_tables and table_format == "table"
        self.aside: Console | None = None
        """Where other text and progress go, if not here."""
        if table_format != "table":
            self.aside = Terminal(stderr=True, only_tables=only_tables)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as rich does, where and if such text is wanted; a screen gets whole words."""
        if self.aside is not None:
            self.aside.print(*objects, **options)
        elif not self.only_tables:
            if self.is_terminal:
                options.pop("soft_wrap", None)
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
        for place, table in enumerate(tables):
            if place and tables[place - 1].caption:  # a table without one ends with a blank line
                console.write("")
            console.table(table)
        return
    if console.table_format == "markdown":
        console.write("\n\n".join(table_to_markdown(table) for table in tables))
        return
    if rows is None:
        several = len(tables) > 1
        rows = [_titled(table, row, several) for table in tables for row in _rows(table)]
    console.write(to_json(rows) if console.table_format == "json" else to_csv(rows))


def suggest(console: Console, *steps: tuple[str | Path, ...]) -> None:
    """Print the commands that usually come next.

    Args:
        console: where to print.
        steps: the words of each command, without ``sib``.
    """
    for place, words in enumerate(steps):
        command = shlex.join(["sib", *map(str, words)])
        console.print(
            f"[dim]{'next:' if not place else '  or:'}[/] {escape(command)}",
            highlight=False,
            soft_wrap=True,
        )


def table_to_markdown(table: Table) -> str:
    """A table as Markdown, with its title before it and its caption after it."""
    heads, rows = _cells(table)
    around = [_plain(text) if text else "" for text in (table.title, table.caption)]
    parts = [f"**{around[0]}**" if around[0] else "", to_markdown(heads, rows), around[1]]
    return "\n\n".join(part for part in parts if part)


def _cells(table: Table) -> tuple[list[str], list[tuple[str, ...]]]:
    """Heads of the columns, and the rows, as plain text."""
    columns = [[_plain(cell) for cell in column.cells] for column in table.columns]
    return [_plain(column.header) for column in table.columns], list(zip(*columns, strict=True))


def _rows(table: Table) -> list[Row]:
    """The cells of a table as plain text, by the heads of their columns."""
    heads, rows = _cells(table)
    return [dict(zip(heads, cells, strict=True)) for cells in rows]


def _titled(table: Table, row: Row, several: bool) -> Row:
    return {"table": _plain(table.title or ""), **row} if several else row


def _plain(cell: Any) -> str:
    text = Text.from_markup(cell).plain if isinstance(cell, str) else str(cell)
    return " ".join(text.split())
