"""Argument lists for the command: right, nearly right and wrong."""

import dataclasses
import types
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml
from hypothesis import strategies as st

from sib.cli.commands import COMMANDS
from sib.config.recipes import RECIPES
from sib.models import architectures
from sib.utils.lazy import load

ODD = (
    "",
    " ",
    "-",
    "--",
    "-1",
    "nan",
    "inf",
    "-inf",
    "1e400",
    "9" * 40,
    "0x10",
    "1_0",
    "None",
    "x",
)
ODD += (
    "true",
    "[1, 2]",
    "{}",
    "é",
    "🐦",
    "\u202e",
    "a b",
    "a/b",
    "../x",
    "*",
    "=",
    "--epochs",
    "\n",
)
NUMBERS = (
    "0",
    "1",
    "2",
    "3",
    "7",
    "31",
    "64",
    "-1",
    "1000000",
    "2147483648",
    "9223372036854775808",
)
REALS = ("0", "0.1", "1", "1e-3", "1e30", "-0.5", "0.999", "1.5", "1e-320", "3", "inf", "nan")
WORDS = ("digits", "cub200", "resnet18", "small_resnet", "auto", "cpu", "cuda:99", "mps", "off")
WORDS += ("gradcam", "vjp", "sparseness", "pointing_game", "half", "runs/a", "timm/x", "os:getcwd")


def options_of(kind: type, prefix: str = "") -> dict[str, Any]:
    """Type of every option by its name on the command line."""
    found: dict[str, Any] = {}
    for name, field in get_type_hints(kind).items():
        option = prefix + name.replace("_", "-")
        if dataclasses.is_dataclass(field):
            found |= options_of(field, f"{option}.")
        else:
            found[option] = field
    return found


NAMES = [name for name, command in COMMANDS.items() if command.reads_files]
OPTIONS = {name: options_of(load(COMMANDS[name].options)) for name in NAMES}


def value_of(kind: Any) -> st.SearchStrategy[str]:
    """Mostly values that a type can take."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return value_of(inner[0])
    if origin is Literal:
        return st.sampled_from([str(value) for value in inner])
    if origin in (Union, types.UnionType):
        return st.one_of([value_of(part) for part in inner])
    if kind is int:
        return st.one_of(st.sampled_from(NUMBERS), *[st.integers(4, 300).map(str)] * 5)
    if kind is float:
        return st.one_of(
            st.sampled_from(REALS), st.floats().map(str), *[st.floats(0.01, 1).map(str)] * 5
        )
    if kind is types.NoneType:
        return st.just("None")
    return st.sampled_from((*WORDS, *architectures()[:3]))


@st.composite
def option(draw, name: str, kind: Any) -> list[str]:
    """An option with its value, or what somebody might type for one."""
    if kind is bool:
        group, dot, last = name.rpartition(".")
        return [f"--{group}{dot}{draw(st.sampled_from(('', 'no-')))}{last}"]
    value = draw(value_of(kind) if draw(st.integers(0, 19)) else st.sampled_from(ODD))
    form = draw(st.integers(0, 30))
    if form == 0:
        return [f"--{name}"]  # no value
    if form == 1:
        return [f"--{name[:-1]}", value]  # a letter lost
    if form == 2:
        return [f"--{name.replace('-', '_')}={value}"]
    return [f"--{name}", value]


@st.composite
def positional(draw, command: str) -> list[str]:
    """What stands without a name: recipes, run folders, images."""
    if command == "train":
        some = st.sampled_from([*RECIPES, "cub200/resnet5", "./birds", ""])
        return draw(st.lists(some, max_size=1))
    paths = st.sampled_from(("runs/a", "runs/b", "w.safetensors", "a.jpg", "runs/a/", *ODD[:6]))
    return draw(st.lists(paths, max_size=3))


@st.composite
def yaml_file(draw, command: str, folder: Path) -> list[str]:
    """--config with a file of right and wrong options."""
    kinds = OPTIONS[command]
    names = draw(st.lists(st.sampled_from([*kinds, "epoch", "objective"]), max_size=3, unique=True))
    plain = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-3, 400),
        st.floats(),
        st.sampled_from(ODD + WORDS),
        st.lists(st.integers(), max_size=2),
        st.dictionaries(st.text(max_size=3), st.none(), max_size=2),
    )
    values = {name: draw(plain) for name in names}
    path = folder / "options.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return ["--config", str(path)]


@st.composite
def command_lines(draw, folder: Path) -> list[str]:
    """A whole command line."""
    command = draw(st.sampled_from([*NAMES, "train", "train", "train", "evaluate", "explain"]))
    kinds = OPTIONS[command]
    names = draw(st.lists(st.sampled_from(list(kinds)), max_size=5)) if kinds else []
    parts = [draw(option(name, kinds[name])) for name in names]
    parts.append(draw(positional(command)))
    if command == "train" and draw(st.integers(0, 3)):
        parts.append(["--data", "digits"])
    if draw(st.integers(0, 7)) == 0:
        parts.append(draw(yaml_file(command, folder)))
    if draw(st.integers(0, 31)) == 0:
        parts.append([draw(st.sampled_from(ODD))])
    parts = draw(st.permutations(parts))
    first = command if draw(st.integers(0, 31)) else draw(st.sampled_from(("", "tran", "--help")))
    return [first, *(word for part in parts for word in part)]
