"""How every command describes itself and prints."""

from shutil import get_terminal_size
from textwrap import fill
from typing import NamedTuple

from sib.utils.errors import InputError
from sib.utils.nearest import perhaps
from sib.utils.rows import FORMATS

WIDEST = 100
"""Columns of a description on a screen that has more."""
EVERYWHERE = """Every command also takes --quiet, which prints nothing but tables and errors, and
--table-format table|csv|json|markdown: csv and json are tables for programs, with all digits."""


class Output(NamedTuple):
    """How a command prints."""

    quiet: bool = False
    table_format: str = "table"


def described(text: str) -> str:
    """A command's description for its help, in whole words on every screen.

    Args:
        text: paragraphs with an empty line between them.
    """
    width = min(get_terminal_size().columns, WIDEST)
    paragraphs = [" ".join(each.split()) for each in text.split("\n\n")]
    # tyro joins a line with the next one, unless that begins with something other than a letter
    return "\n".join(
        fill(each, width, initial_indent=" ", subsequent_indent=" ") for each in paragraphs
    )


def split_output(arguments: list[str]) -> tuple[list[str], Output]:
    """Take the options about printing out of the arguments.

    Raises:
        InputError: a format is unknown.
    """
    rest: list[str] = []
    quiet, table_format = False, "table"
    waiting = iter(arguments)
    for argument in waiting:
        name, equals, value = argument.partition("=")
        if argument == "--quiet":
            quiet = True
        elif name.replace("_", "-") == "--table-format":
            table_format = value if equals else next(waiting, "")
            if table_format not in FORMATS:
                raise InputError(
                    f"--table-format must be {', '.join(FORMATS)}; got {table_format!r}"
                    f"{perhaps(table_format, FORMATS)}"
                )
        else:
            rest.append(argument)
    return rest, Output(quiet, table_format)
