"""Help texts of options: the strings below the fields, each as one paragraph."""

import ast
import dataclasses
import inspect
import textwrap
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, get_args, get_type_hints

import tyro

from sib.cli.commands import COMMANDS
from sib.data.datasets.catalogue import CATALOGUE

VALUES: dict[Any, str] = {str | None: "STR", int | None: "INT", float | None: "FLOAT"}
VALUES |= {Path | None: "PATH"}
"""What stands for the value of an option that need not be given; tyro would add None to it."""


class Narrowed:
    """A stream to which the usage of `sib` is written as one word in place of all its commands.

    Their list, which tyro writes into one line, is wider than a narrow screen; it follows below.

    Args:
        stream: that is written to.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text, shortened."""
        written: int = self._stream.write(text.replace(f"{{{','.join(COMMANDS)}}}", "COMMAND"))
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@cache
def join_help(kind: type) -> None:
    """Use the string below each field of a dataclass, nested ones included, as its help text.

    tyro reads these strings by itself, but keeps the line breaks of the source. A last sentence
    "Default: …" takes the place of the default, which is often None and then says nothing.
    """
    texts: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if dataclasses.is_dataclass(base):
            texts |= _texts(base)
    hints = get_type_hints(kind, include_extras=True)
    shown = {}
    for field in dataclasses.fields(kind):
        if inner := _dataclasses(hints[field.name]):
            for each in inner:
                join_help(each)
            continue
        text, default = _divided(texts.get(field.name, ""))
        if text:
            field.metadata = MappingProxyType({**field.metadata, "help": text})
        shown[field.name] = _described(hints[field.name], default)
    kind.__annotations__ = inspect.get_annotations(kind) | shown


def _divided(text: str) -> tuple[str, str]:
    """A help text, and what its last sentence says about the default."""
    head, _, tail = text.rpartition(" Default: ")
    is_last = bool(head) and ". " not in tail
    return (head, tail.removesuffix(".")) if is_last else (text, "")


def _described(hint: Any, default: str) -> Any:
    """The type of an option, with what its help shows for the value and for the default."""
    kind, *extras = get_args(hint) if hasattr(hint, "__metadata__") else (hint,)

    def shown(value: str) -> str:
        if default:
            return f"(default: {default})"
        if value == "" and tyro.conf.Positional in extras:
            return "(required)"  # at least one of several words
        return "(optional)" if value in ("None", "") else f"(default: {value})"

    own = tyro.conf.arg(metavar=VALUES.get(kind), help_behavior_hint=shown)
    return Annotated[(kind, own, *extras)]


def _dataclasses(hint: Any) -> list[type]:
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return [hint]
    return [kind for part in get_args(hint) for kind in _dataclasses(part)]


def _texts(kind: type) -> dict[str, str]:
    """The string below each field without line breaks; ``{data_sets}`` are the published ones."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    found: dict[str, str] = {}
    name = None
    for node in getattr(tree, "body", []):
        value = getattr(node, "value", None)
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name = node.target.id
            continue
        if name and isinstance(value, ast.Constant) and isinstance(value.value, str):
            text = value.value.replace("{data_sets}", ", ".join(CATALOGUE))
            found[name] = " ".join(text.split())
        name = None
    return found
