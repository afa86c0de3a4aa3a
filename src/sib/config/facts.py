"""What is known about an option besides its type, kept in the metadata of its field."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, get_type_hints

from sib.objectives.registry import METHODS

SPATIAL_IB = ("published", "calibrated")
"""The objectives of method ``sib``; every other method has one objective, of its own name."""
ADDED = "a method of another package"
"""Stands for every such method."""
RIVALS = (*(name for name in METHODS if name not in ("sib", "ce")), ADDED)
"""The methods that S-IB is compared with."""
NEED_FOREGROUND = tuple(name for name, method in METHODS.items() if method.needs_foreground)
GUIDED = (*SPATIAL_IB, *NEED_FOREGROUND, ADDED)
"""Objectives that use annotated foregrounds, or can."""
KEY = "sib"


class Facts(NamedTuple):
    """Facts about one option."""

    resume: bool = False
    """Whether it may change when a run is resumed."""
    harmless: bool = False
    """Whether it leaves results unchanged, so that runs that differ in it count as repeats."""
    only_for: tuple[str, ...] = ()
    """Objectives that use it; empty for all of them and for plain cross-entropy."""
    only_if: tuple[str, tuple[str, ...]] | None = None
    """Another option, by its full name, and the values of that option for which this one counts."""
    joined: str = ""
    """Separator of the names or numbers in its value; empty if it holds one."""


class Option(NamedTuple):
    """An option of a command and what is known about it."""

    name: str
    """With dots and underscores, such as ``objective.window_size``."""
    default: Any
    facts: Facts

    @property
    def flag(self) -> str:
        """Its name on the command line."""
        if self.name == "objective.kind":
            return "--objective"
        return "--" + self.name.replace("_", "-")


def option(
    default: Any,
    *,
    resume: bool = False,
    harmless: bool = False,
    only_for: tuple[str, ...] = (),
    only_if: tuple[str, tuple[str, ...]] | None = None,
    joined: str = "",
) -> Any:
    """A field of a dataclass of options with its default and its `Facts`."""
    facts = Facts(resume, harmless, only_for, only_if, joined)
    return dataclasses.field(default=default, metadata={KEY: facts})


def options(kind: type, prefix: str = "") -> Iterator[Option]:
    """Every option of a dataclass, nested ones included."""
    hints = get_type_hints(kind)
    for field in dataclasses.fields(kind):
        if dataclasses.is_dataclass(hints[field.name]):
            yield from options(hints[field.name], f"{prefix}{field.name}.")
        else:
            facts = field.metadata.get(KEY, Facts())
            yield Option(f"{prefix}{field.name}", field.default, facts)


def resumable(kind: type) -> set[str]:
    """Names of the options that may change when a run is resumed."""
    return {option.name for option in options(kind) if option.facts.resume}


def harmless(kind: type) -> set[str]:
    """Names of the options that change no result."""
    return {option.name for option in options(kind) if option.facts.harmless}


def idle(kind: type, values: Mapping[str, Any]) -> set[str]:
    """Names of the options that have no effect, given the values of the others.

    Args:
        kind: dataclass of the options.
        values: by full name; missing ones have their defaults.
    """
    known = list(options(kind))
    values = {option.name: option.default for option in known} | dict(values)
    return {option.name for option in known if not _applies(option.facts, values)}


def deciding(kind: type) -> list[Option]:
    """The options that decide by their values whether others have an effect."""
    known = list(options(kind))
    names = {each.facts.only_if[0] for each in known if each.facts.only_if}
    if any(each.facts.only_for for each in known):
        names |= {"method", "objective.kind"}
    return [each for each in known if each.name in names]


def refusal(kind: type, values: Mapping[str, Any]) -> str | None:
    """A sentence about the first option that was changed but has no effect; None without one.

    Args:
        kind: dataclass of the options.
        values: all of them, by full name.
    """
    for known in options(kind):
        changed = values[known.name] != known.default
        if changed and not _applies(known.facts, values):
            return f"{known.flag} is for {_needed(known.facts, values)}"
    return None


def objective_of(values: Mapping[str, Any]) -> str:
    """The objective that the values select: the kind of S-IB, or the method."""
    method = str(values.get("method"))
    if method == "sib":
        return str(values["objective.kind"])
    return method if method in METHODS else ADDED


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values of nested options, by full name."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        found |= flatten(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return found


def _applies(facts: Facts, values: Mapping[str, Any]) -> bool:
    if facts.only_for and objective_of(values) not in facts.only_for:
        return False
    return facts.only_if is None or str(values[facts.only_if[0]]) in facts.only_if[1]


def _needed(facts: Facts, values: Mapping[str, Any]) -> str:
    """What an option is for, and what was given instead."""
    method, objective = values["method"], objective_of(values)
    if not facts.only_for or objective in facts.only_for:
        name, allowed = facts.only_if or ("", ())
        flag = f"--{name.replace('_', '-')}"
        if allowed == ("True",):  # a switch
            return f"{flag}, which is off"
        return f"{flag} {' or '.join(allowed)}; got {values[name]}"
    kinds = [name for name in facts.only_for if name in SPATIAL_IB]
    if method == "sib" and kinds:
        return f"--objective {kinds[0]}; got {objective}"
    others = [name for name in facts.only_for if name not in (*SPATIAL_IB, ADDED)]
    names = ", ".join((["sib"] if kinds else []) + others)
    inside = f" with --objective {kinds[0]}" if len(kinds) == 1 else ""
    return f"--method {names}{inside}; got {method}"
