"""A terminal that names in files cannot command."""

from collections.abc import Iterable
from io import TextIOWrapper
from typing import Any

from rich.console import Console
from rich.segment import Segment

CODES = {*range(32), *range(127, 160)} - {ord("\n"), ord("\t")}
DIRECTIONS = {*range(0x202A, 0x202F), *range(0x2066, 0x206A)}
"""Marks that turn the direction of writing, so that a name looks like another one."""
UNDECODABLE = range(0xD800, 0xE000)
"""How Python holds the bytes of a file's name that are not UTF-8; they cannot be written."""
CONTROLS = dict.fromkeys(CODES | DIRECTIONS | {*UNDECODABLE}, "\N{REPLACEMENT CHARACTER}")


def write_what_fits(*streams: Any) -> None:
    """Let streams of a small encoding write ``?`` for a character that they lack."""
    for stream in streams:
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")


class Terminal(Console):
    """Prints control characters in any text as U+FFFD; the terminal's own styles stay.

    The name of a file or a class may hold an escape sequence, which would move the cursor, change
    the window's title or write other words over ours.
    """

    def render(self, *arguments: Any, **options: Any) -> Iterable[Segment]:
        """The segments of anything that can be printed, without control characters."""
        for segment in super().render(*arguments, **options):
            if segment.control is None:
                yield Segment(segment.text.translate(CONTROLS), segment.style)
            else:
                yield segment
