"""Mistyped commands, options and values, refused in a sentence that names the nearest one."""

from collections.abc import Iterable, Iterator
from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

from sib.cli.synonyms import COMMAND_SYNONYMS, SYNONYMS
from sib.config.facts import options
from sib.utils.errors import InputError
from sib.utils.nearest import nearest, perhaps

NUMBERS = {int: "a whole number", float: "a number"}
"""Types of numbers in words."""


class Flag(NamedTuple):
    """An option as it is typed."""

    choices: tuple[str, ...] = ()
    """Values that it takes; empty where its type says no more."""
    several: bool = False
    """Whether it takes several of them."""
    kind: type = bool
    """Of one value; bool for a switch, which takes none."""
    optional: bool = False
    """Whether the word None is a value too."""
    joined: str = ""
    """Separator of the names or numbers in its value."""


def check_command(name: str, known: Iterable[str], program: str = "sib") -> None:
    """Raise InputError unless there is a command of this name.

    Args:
        name: as it was typed.
        known: names of the commands.
        program: the text before the name.
    """
    names = list(known)
    if name in names:
        return
    begun = [each for each in names if each.startswith(name)]
    meant = COMMAND_SYNONYMS.get(name) or next(iter([*begun, *nearest(name, names)]), None)
    clause = f", perhaps {meant}" if meant in names else f"; there are {', '.join(names)}"
    raise InputError(f"{program} has no command {name!r}{clause}; {program} --help explains all")


def check_flags(command: str, kind: type, arguments: list[str], config: bool = True) -> None:
    """Raise InputError where an option, or a value of one, is not among those of a command.

    Args:
        command: for the message.
        kind: dataclass of its options.
        arguments: after the command.
        config: whether it takes ``--config``.
    """
    known = flags_of(kind, config)
    given: set[str] = set()
    for place, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        flag = name.replace("_", "-")
        if flag[:2] != "--" or len(flag) == 2:
            continue
        if flag not in known:
            raise InputError(
                f"{command} has no option {flag}{_perhaps(flag[2:], known)}; {command} --help "
                "lists all"
            )
        if flag in given and known[flag].joined == ",":
            raise InputError(f"{flag} is given twice; give it once, with commas between the names")
        given.add(flag)
        values = (
            [value] if equals else list(values_after(arguments[place + 1 :], known[flag].several))
        )
        if not values and known[flag].kind is not bool:
            raise InputError(f"{command}: {flag} needs a value; {command} --help explains it")
        _check_choice(flag, values, known[flag].choices)
        if known[flag].kind in NUMBERS:
            _check_number(flag, values, known[flag])


def values_after(rest: list[str], several: bool) -> Iterator[str]:
    """What follows an option and belongs to it."""
    for number, value in enumerate(rest):
        negative = value[:1] == "-" and not value[1:2].isdecimal()
        if negative or (number and not several):
            return
        yield value


def _check_choice(flag: str, values: list[str], choices: tuple[str, ...]) -> None:
    for value in values:
        if choices and value not in choices:
            raise InputError(
                f"{flag} must be {', '.join(choices)}; got {value!r}{perhaps(value, choices)}"
            )


def _check_number(flag: str, values: list[str], known: Flag) -> None:
    for value in values:
        if known.optional and value == "None":
            continue
        try:
            known.kind(value)
        except ValueError:
            raise InputError(f"{flag} must be {NUMBERS[known.kind]}; got {value!r}") from None


def flags_of(kind: type, config: bool = False) -> dict[str, Flag]:
    """Every spelling of every option, with hyphens; ``config`` adds ``--config``."""
    found = {"--help": Flag()} | ({"--config": Flag(kind=str)} if config else {})
    hints = get_type_hints(kind)
    for known in options(kind):
        hint = _hint(known.name, hints)
        plain = f"--{known.name.replace('_', '-')}"
        found[plain] = found[known.flag] = Flag(
            _choices(hint),
            get_origin(hint) is tuple,
            _kind(hint),
            type(None) in get_args(hint),
            known.facts.joined,
        )
        if hint is bool or bool in get_args(hint):
            group, dot, name = plain[2:].rpartition(".")
            found[f"--{group}{dot}no-{name}"] = Flag()
    return found


def _hint(name: str, hints: dict[str, Any]) -> Any:
    *groups, own = name.split(".")
    for group in groups:
        hints = get_type_hints(hints[group])
    return hints[own]


def _kind(hint: Any) -> type:
    """The type of one value, as far as the text shows it; str for anything else."""
    parts = [part for part in get_args(hint) if part is not type(None)]
    inner: type = parts[0] if len(parts) == 1 else hint
    return inner if inner in (bool, *NUMBERS) else str


def _choices(hint: Any) -> tuple[str, ...]:
    """The words that a type allows; empty where it allows others."""
    if get_origin(hint) is Literal:
        return get_args(hint)
    parts = [part for part in get_args(hint) if part not in (type(None), ...)]
    if len(parts) != 1:
        return ()
    optional = ("None",) if type(None) in get_args(hint) else ()
    inner = _choices(parts[0])
    return (*inner, *optional) if inner else ()


def _perhaps(name: str, known: dict[str, Flag]) -> str:
    """The option that was meant, as far as that can be known."""
    if name in SYNONYMS:
        meant = [f"--{each}" for each in SYNONYMS[name] if f"--{each}" in known]
        return f", perhaps {meant[0]}" if meant else ""
    by_end: dict[str, str] = {}
    for flag in sorted(known, key=len, reverse=True):  # the shortest of those with one ending wins
        by_end[flag[2:].rpartition(".")[2]] = flag
    own = name.rpartition(".")[2]
    if own in by_end:
        return f", perhaps {by_end[own]}"
    whole = nearest(name, [flag[2:] for flag in known])
    if whole:
        return f", perhaps --{whole[0]}"
    end = nearest(own, by_end)
    return f", perhaps {by_end[end[0]]}" if end else ""
