"""Options that every command has, and the nearest name of one that no command has."""

import difflib
from collections.abc import Iterator
from typing import NamedTuple, get_args, get_type_hints

from sib.config.facts import Option, options
from sib.utils.errors import InputError

FORMATS = ("table", "csv", "json")
EVERYWHERE = """Every command also takes --quiet, which prints nothing but tables and errors, and
--table-format table|csv|json: csv and json are tables for programs, with all digits."""
ELSEWHERE = {
    "backbone": "arch",
    "batch": "batch-size",
    "bs": "batch-size",
    "checkpoint-dir": "out",
    "cuda": "device",
    "dataset": "data",
    "epoch": "epochs",
    "fp16": "precision",
    "amp": "precision",
    "gpu": "device",
    "grad-clip": "optimizer.clip-norm",
    "img-size": "image-size",
    "input-size": "image-size",
    "loss": "method",
    "lr": "optimizer.learning-rate",
    "model": "arch",
    "num-epochs": "epochs",
    "num-workers": "workers",
    "output": "out",
    "output-dir": "out",
    "pretrained": "weights",
    "scheduler": "schedule.kind",
    "size": "image-size",
    "wd": "optimizer.weight-decay",
}
"""What other training scripts call these options."""


class Output(NamedTuple):
    """How a command prints."""

    quiet: bool = False
    table_format: str = "table"


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
                )
        else:
            rest.append(argument)
    return rest, Output(quiet, table_format)


def check_flags(command: str, kind: type, arguments: list[str]) -> None:
    """Raise InputError where an argument is an option that the command does not have.

    Args:
        command: for the message.
        kind: dataclass of its options.
        arguments: after the command.
    """
    known = set(_flags(kind))
    for argument in arguments:
        flag = argument.partition("=")[0].replace("_", "-")
        if flag[:2] == "--" and len(flag) > 2 and flag not in known:
            raise InputError(
                f"{command} has no option {flag}{_perhaps(flag[2:], known)}; {command} --help "
                "lists all"
            )


def _flags(kind: type) -> Iterator[str]:
    """Every spelling of every option, with hyphens."""
    yield from ("--help", "--config")
    hints = get_type_hints(kind)
    for known in options(kind):
        plain = f"--{known.name.replace('_', '-')}"
        yield from (plain, known.flag)
        if _is_switch(known, hints):
            group, dot, name = plain[2:].rpartition(".")
            yield f"--{group}{dot}no-{name}"


def _is_switch(known: Option, hints: dict[str, object]) -> bool:
    *groups, name = known.name.split(".")
    for group in groups:
        hints = get_type_hints(hints[group])
    return hints[name] is bool or bool in get_args(hints[name])


def _perhaps(name: str, known: set[str]) -> str:
    """The option that was meant, as far as that can be told."""
    meant = ELSEWHERE.get(name)
    if meant is not None:
        return f", perhaps --{meant}" if f"--{meant}" in known else ""
    by_end: dict[str, str] = {}
    for flag in sorted(known, key=len, reverse=True):  # the shortest of those with one ending wins
        by_end[flag[2:].rpartition(".")[2]] = flag
    own = name.rpartition(".")[2]
    if own in by_end:
        return f", perhaps {by_end[own]}"
    close = difflib.get_close_matches(name, [flag[2:] for flag in known], n=1)
    if close:
        return f", perhaps --{close[0]}"
    close = difflib.get_close_matches(own, by_end, n=1)
    return f", perhaps {by_end[close[0]]}" if close else ""
