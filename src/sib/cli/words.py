"""Words of a command line that belong to no option: those of a command, and those left over."""

import dataclasses
import re
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

import tyro

from sib.cli.flags import Flag, check_flags, flags_of, values_after
from sib.config.facts import options
from sib.config.recipes import RECIPES
from sib.config.yaml_options import RECIPE
from sib.utils.errors import InputError
from sib.utils.image_size import size_meant

JOINABLE = {"x": r"\d+,?", "/": r"[\d.,]+", ",": r"[^/\\]+"}
"""What each value of an option looks like, by what joins several of them."""
OF_SEVERAL = {"sib evaluate": "; sib compare takes several runs"}


class Word(NamedTuple):
    """A word that is neither an option nor the value of one."""

    text: str
    flag: str | None
    """The option whose value stands directly before it, or before other such words."""
    values: tuple[str, ...]
    """The value of that option, and the words from there to this one."""
    after: int
    """Place of the last option before it."""


def checked(program: str, kind: type, arguments: list[str], config: bool = True) -> list[str]:
    """The arguments of a command after all checks that need no file, with commas divided.

    Args:
        program: the command, for messages.
        kind: dataclass of its options.
        arguments: after the command.
        config: whether it takes ``--config``.

    Raises:
        InputError: an option is unknown or has a wrong value, or a word belongs to none.
    """
    arguments = split_commas(kind, arguments)
    _check_paths(arguments, flags_of(kind, config))
    check_flags(program, kind, arguments, config)
    check_words(program, kind, arguments, config)
    return arguments


def check_words(program: str, kind: type, arguments: list[str], config: bool = True) -> None:
    """Raise InputError where an option of one value is followed by several.

    Without this check the second is taken for an argument of the command, such as a recipe.

    Args:
        program: the command, for the message.
        kind: dataclass of its options.
        arguments: after the command.
        config: whether it takes ``--config``.
    """
    flags = flags_of(kind, config)
    words = list(_words(arguments, flags))
    positional = _positional(kind)
    left_over = _left_over(words, positional)
    needed = _needed(kind, arguments, flags, left_over[0].text) if left_over else ""
    if needed and left_over[0].flag is None:
        raise InputError(_not_taken(program, left_over[0], needed))
    for word in words[::-1]:
        if word in left_over and _is_path(word, positional):
            raise InputError(_about_paths(program, words, word, positional))
        if word.flag is not None and (word in left_over or _is_misplaced(word, flags, positional)):
            raise InputError(_sentence(word, flags[word.flag]))
    if left_over:
        raise InputError(_not_taken(program, left_over[0], needed))


def split_commas(kind: type, arguments: list[str]) -> list[str]:
    """Divide the values of options of several names, which may have commas between them too."""
    flags, found, inside = flags_of(kind), [], False
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if argument[:2] == "--":
            flag = flags.get(name.replace("_", "-"))
            inside = flag is not None and flag.several
            if inside and equals:
                found += [name, *_names(value)]
                continue
        found += _names(argument) if inside and argument[:1] != "-" else [argument]
    return found


def _names(value: str) -> list[str]:
    return [name.strip() for name in value.split(",") if name.strip()] or [value]


def _words(arguments: list[str], flags: dict[str, Flag]) -> Iterator[Word]:
    flag: str | None = None
    values: tuple[str, ...] = ()
    expected = after = 0
    for place, argument in enumerate(arguments):
        if argument[:2] == "--" and len(argument) > 2:
            name, equals, value = argument.partition("=")
            flag, after = name.replace("_", "-"), place
            known = flags.get(flag, Flag())
            takes = list(values_after(arguments[place + 1 :], known.several))
            expected = 0 if equals or known.kind is bool else len(takes)
            values = (value,) if equals else ()
            if known.kind is bool or known.several:
                flag = None
        elif expected:
            expected, values = expected - 1, (*values, argument)
        elif argument[:1] != "-":
            values = (*values, argument)
            yield Word(argument, flag, values, after)


def _positional(kind: type) -> dict[str, Any]:
    """The arguments of a command that are not options, with their types."""
    hints = get_type_hints(kind, include_extras=True)
    marker = tyro.conf.Positional[int].__metadata__[0]  # type: ignore[attr-defined]
    marked = [name for name, hint in hints.items() if marker in getattr(hint, "__metadata__", ())]
    plain = get_type_hints(kind)
    return {name: plain[name] for name in marked}


def _left_over(words: list[Word], positional: dict[str, Any]) -> list[Word]:
    """The words after the arguments of a command; of several, all stand together."""
    count = len(positional)
    rest = words[count:]
    if _takes_several(positional):
        return [word for word in rest if word.after != words[count - 1].after]
    return rest


def _is_misplaced(word: Word, flags: dict[str, Flag], positional: dict[str, Any]) -> bool:
    """Whether a word after an option cannot be an argument of the command."""
    if RECIPE in positional:
        return word.text not in RECIPES and "/" not in word.text
    joined = flags[word.flag or ""].joined
    values = list(_values(word, joined))
    return _takes_paths(positional) and values == list(word.values) and not _exists(word.text)


def _takes_paths(positional: dict[str, Any]) -> bool:
    return any(Path in (hint, *get_args(hint)) for hint in positional.values())


def _takes_several(positional: dict[str, Any]) -> bool:
    return any(get_origin(hint) is tuple for hint in positional.values())


def _exists(text: str) -> bool:
    try:
        return Path(text).exists()
    except OSError:  # longer than a name may be
        return False


def _is_path(word: Word, positional: dict[str, Any]) -> bool:
    """Whether a word too many is a path of the command, not a part of a value with spaces."""
    return _takes_paths(positional) and _exists(word.text) and not _exists(" ".join(word.values))


def _about_paths(program: str, words: list[Word], word: Word, positional: dict[str, Any]) -> str:
    if _takes_several(positional):
        return f"{program} takes all its paths together; {word.text!r} is apart from them"
    given = " ".join(repr(each.text) for each in words)
    return f"{program} takes one path; got {given}{OF_SEVERAL.get(program, '')}"


def _not_taken(program: str, word: Word, needed: str) -> str:
    return f"{program} does not take {word.text!r}{needed}; {program} --help explains all"


def _needed(kind: type, arguments: list[str], flags: dict[str, Flag], word: str) -> str:
    """Which option without a default is missing, and that the word may be its value."""
    given = {argument.partition("=")[0].replace("_", "-") for argument in arguments}
    places = _positional(kind)
    for known in options(kind):
        required = known.default is dataclasses.MISSING and known.name not in places
        if required and not given & {known.flag, "--config"}:
            advice = f": write {known.flag} {word}" if word in flags[known.flag].choices else ""
            return f" and needs {known.flag}{advice}"
    return ""


def _check_paths(arguments: list[str], flags: dict[str, Flag]) -> None:
    """Raise InputError where an option of several names takes the path after it too."""
    flag = ""
    for value in arguments:
        if value[:1] == "-":
            flag = value.replace("_", "-")
        if flag not in flags or not flags[flag].several or value[:1] == "-":
            continue
        if Path(value).suffix or len(Path(value).parts) > 1:
            raise InputError(
                f"{flag} takes the words after it, also {value!r}: put paths before {flag}"
            )


def _values(word: Word, joined: str) -> list[str]:
    """The first values before and in a word that look like those of an option that joins them."""
    pattern = JOINABLE.get(joined, "")
    return list(takewhile(lambda value: re.fullmatch(pattern, value), word.values))


def _sentence(word: Word, flag: Flag) -> str:
    start = f"{word.flag} takes one value; got {' '.join(map(repr, word.values))}"
    values = _values(word, flag.joined)
    if len(values) == 2 or (len(values) > 2 and flag.joined == ","):
        return f"{start}: write {flag.joined.join(value.strip(',') for value in values)}"
    whole = " ".join(word.values)
    if flag.joined == "x":
        return start + size_meant(whole)
    if flag.joined or flag.kind is not str or flag.choices or not _belong_together(word.values):
        return start
    return f"{start}: if it has spaces, put it in quotes, {whole!r}"


def _belong_together(parts: tuple[str, ...]) -> bool:
    """Whether words can be one value with spaces: none is a path or data set by itself."""
    from sib.data.locate import NAMES  # loads torch, which correct arguments need later

    return _exists(" ".join(parts)) or not any(part in NAMES or _exists(part) for part in parts)
