"""Values of options from YAML files, turned into arguments so that one parser checks them all."""

import dataclasses
from collections.abc import Collection
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import tyro

from sib.config.facts import KEY, Facts
from sib.objectives.registry import check_method
from sib.utils.errors import InputError
from sib.utils.nearest import perhaps

RECIPE = "recipe"


def options_of(kind: type, values: dict[Any, Any], where: Path | str) -> list[str]:
    """The options in a file, as arguments. Each is tried, so that a wrong one is reported.

    Args:
        kind: dataclass of the options.
        values: nested, or flat with dots.
        where: the file and the place in it, for messages.

    Raises:
        InputError: a key is unknown, or a value not allowed.
    """
    return _options(kind, values, where, "")


def from_arguments(kind: type, arguments: list[str], where: str) -> Any:
    """Parse arguments into a dataclass.

    Args:
        kind: dataclass of the options.
        arguments: as returned by `options_of`.
        where: the file and the place in it, for messages.

    Raises:
        InputError: a value is out of its range.
    """
    said = StringIO()
    try:
        with redirect_stderr(said), redirect_stdout(said):
            return tyro.cli(kind, args=arguments)
    except SystemExit as stop:
        error = error_behind(stop)
        raise InputError(f"{where}: {error or ' '.join(said.getvalue().split())}") from None


def error_behind(stop: BaseException | None) -> InputError | None:
    """The InputError that a configuration raised about its own values, which tyro hides."""
    while stop is not None and not isinstance(stop, InputError):
        stop = stop.__context__
    return stop


def leave_out(values: dict[Any, Any], names: Collection[str], prefix: str = "") -> dict[Any, Any]:
    """The options except those with the given full names.

    Args:
        values: nested, or flat with dots.
        names: with dots and underscores.
        prefix: of the names in ``values``.
    """
    found: dict[Any, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}".replace("-", "_")
        if isinstance(value, dict):
            found[key] = leave_out(value, names, f"{name}.")
        elif name not in names:
            found[key] = value
    return found


def switch(option: str, value: bool) -> str:
    """The argument that turns an option on or off."""
    group, dot, name = option.rpartition(".")
    return f"--{group}{dot}{'' if value else 'no-'}{name}"


def _options(kind: type, values: dict[Any, Any], file: Path | str, prefix: str) -> list[str]:
    hints = get_type_hints(kind)
    fields = {field.name: hints[field.name] for field in dataclasses.fields(kind)}
    found: list[str] = []
    for key, value in values.items():
        name = str(key).replace("-", "_")
        if "." in name:  # objective.slope: 3 means the same as slope below objective
            group, _, rest = name.partition(".")
            found += _options(kind, {group: {rest: value}}, file, prefix)
            continue
        if name == RECIPE and name in fields:
            continue  # not an option but an argument
        if name not in fields:
            raise InputError(_unknown(file, f"{prefix}{key}", name, list(fields), prefix))
        if dataclasses.is_dataclass(fields[name]):
            if not isinstance(value, dict):
                raise InputError(f"{file}: {prefix}{key} must hold options of its own, indented")
            found += _options(fields[name], value, file, f"{prefix}{name}.")
        else:
            value = _joined(kind, name, value)
            found += _option(fields[name], f"{prefix}{name}", value, file)
    return found


def _joined(kind: type, name: str, value: Any) -> Any:
    """A list as the one value of an option that holds several names or numbers."""
    facts = next(f for f in dataclasses.fields(kind) if f.name == name).metadata.get(KEY, Facts())
    plain = isinstance(value, list) and all(type(each) in (str, int, float) for each in value)
    return facts.joined.join(map(str, value)) if facts.joined and plain and value else value


def _option(kind: Any, name: str, value: Any, file: Path | str) -> list[str]:
    """One option, tried alone so that a wrong value is reported with its file."""
    flag = "--" + name.replace("_", "-")
    if isinstance(value, bool) and kind is bool:
        return [switch(flag.removeprefix("--"), value)]
    if isinstance(value, bool) and kind is str:
        raise InputError(
            f"{file}: {name} must be text; YAML reads off, no, on and yes as {value}, so put the "
            "word in quotes"
        )
    if isinstance(value, (list, dict)):
        raise InputError(f"{file}: {name} must be a single value; got {value!r}")
    text = "None" if value is None else str(value)
    try:
        with redirect_stderr(StringIO()), redirect_stdout(StringIO()):
            tyro.cli(kind, args=[text] if text[:1] != "-" else ["--", text])
    except SystemExit:
        allowed = " or ".join(get_args(kind)) if get_origin(kind) is Literal else _name(kind)
        raise InputError(f"{file}: {name} must be {allowed}; got {value!r}") from None
    if name == "method":  # text for tyro, since other packages add names
        try:
            check_method(text)
        except InputError as error:
            raise InputError(f"{file}: {error}") from None
    return [f"{flag}={text}"] if text[:1] == "-" else [flag, text]


def _name(kind: Any) -> str:
    return getattr(kind, "__name__", str(kind)) if isinstance(kind, type) else str(kind)


def _unknown(file: Path | str, shown: str, name: str, allowed: list[str], prefix: str) -> str:
    meant = perhaps(name, allowed, prefix) or f"; allowed are {', '.join(allowed)}"
    return f"{file}: {shown} is not an option{meant}"
