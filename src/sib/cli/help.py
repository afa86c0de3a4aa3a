"""Help texts of options: the strings below the fields, each as one paragraph."""

import ast
import dataclasses
import inspect
import textwrap
from types import MappingProxyType
from typing import Any, get_args, get_type_hints


def join_help(kind: type) -> None:
    """Use the string below each field of a dataclass, nested ones included, as its help text.

    tyro reads these strings by itself, but keeps the line breaks of the source.
    """
    texts: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if dataclasses.is_dataclass(base):
            texts |= _texts(base)
    for field in dataclasses.fields(kind):
        if field.name in texts:
            field.metadata = MappingProxyType({**field.metadata, "help": texts[field.name]})
    for hint in get_type_hints(kind, include_extras=True).values():
        for inner in _dataclasses(hint):
            join_help(inner)


def _dataclasses(hint: Any) -> list[type]:
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return [hint]
    return [kind for part in get_args(hint) for kind in _dataclasses(part)]


def _texts(kind: type) -> dict[str, str]:
    """The string below each field, without line breaks."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    found: dict[str, str] = {}
    name = None
    for node in getattr(tree, "body", []):
        value = getattr(node, "value", None)
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name = node.target.id
            continue
        if name and isinstance(value, ast.Constant) and isinstance(value.value, str):
            found[name] = " ".join(value.value.split())
        name = None
    return found
