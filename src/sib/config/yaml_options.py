"""Options of recipes and YAML files, turned into arguments so that one parser checks them all."""

import dataclasses
from collections.abc import Collection
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import tyro

from sib.config.facts import deciding, flatten, idle
from sib.config.recipes import find_recipe
from sib.config.yaml_file import parse_yaml
from sib.objectives.registry import check_method
from sib.utils.errors import InputError
from sib.utils.image_size import refuse_two_numbers
from sib.utils.nearest import perhaps

RECIPE = "recipe"


def expand_config(kind: type, arguments: list[str]) -> list[str]:
    """Replace ``--config FILE`` and the recipe by their options, put first so that later ones win.

    Args:
        kind: dataclass of the options.
        arguments: those of the command line, without the command.

    Returns:
        The arguments without ``--config``: the recipe's options, then the files', then the rest.

    Raises:
        InputError: the file cannot be read, or has a key or a value that is not allowed; an
            unknown recipe.
    """
    refuse_two_numbers(arguments)
    rest, files = [], []
    waiting = iter(arguments)
    for argument in waiting:
        name, equals, value = argument.partition("=")
        if name != "--config":
            rest.append(argument)
        elif equals or (value := next(waiting, "")):
            files.append(Path(value))
        else:
            raise InputError("--config needs the path of a YAML file")
    contents = [(file, _read(file)) for file in files]
    options: list[str] = []
    if RECIPE not in get_type_hints(kind):
        for file, own in contents:
            options += _options(kind, own, file, "")
        return options + rest
    given, named = _positional(kind, rest), _recipe_of(contents)
    chosen = given if given is not None else named
    recipe = {} if chosen is None else find_recipe(chosen).options()
    values = _by_full_name(recipe)
    for _, own in contents:
        values |= _by_full_name(flatten(own))
    left_out = idle(kind, values | _deciding(kind, rest))
    options += _arguments(recipe, left_out)
    for file, own in contents:
        # a run's own file names every option, also those that the method at hand does not have
        options += _options(kind, leave_out(own, left_out) if _is_of_a_run(own) else own, file, "")
    return options + ([named, *rest] if given is None and named is not None else rest)


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


def _arguments(recipe: dict[str, Any], left_out: Collection[str]) -> list[str]:
    """The options of a recipe as arguments, without those that have no effect for the method."""
    found: list[str] = []
    for option, value in leave_out(recipe, left_out).items():
        found += (
            [_switch(option, value)] if isinstance(value, bool) else [f"--{option}", f"{value}"]
        )
    return found


def _by_full_name(values: dict[Any, Any]) -> dict[str, Any]:
    return {str(key).replace("-", "_"): value for key, value in values.items()}


def _deciding(kind: type, arguments: list[str]) -> dict[str, str]:
    """The command line's values of options that others depend on; the last one counts."""
    flags = {known.flag: known.name for known in deciding(kind)}
    flags |= {f"--{known.name}": known.name for known in deciding(kind)}
    found, waiting = {}, iter(arguments)
    for argument in waiting:
        flag, equals, value = argument.partition("=")
        name = flags.get(flag.replace("_", "-"))
        if name is not None:
            found[name] = value if equals else next(waiting, "")
    return found


def _is_of_a_run(values: dict[Any, Any]) -> bool:
    """Whether a file is the ``config.yaml`` of a run folder, which holds every option."""
    objective = values.get("objective")
    return isinstance(objective, dict) and objective.keys() >= {"kind", "slope", "image_weight"}


def _recipe_of(contents: list[tuple[Path, dict[Any, Any]]]) -> str | None:
    """The recipe named by the last of the files."""
    names = [values[RECIPE] for _, values in contents if values.get(RECIPE) is not None]
    return str(names[-1]) if names else None


def _positional(kind: type, arguments: list[str]) -> str | None:
    """The first argument that is neither an option nor the value of one."""
    switches, waiting = _switches(kind, ""), iter(arguments)
    for argument in waiting:
        if argument[:1] != "-":
            return argument
        if "=" not in argument and argument.replace("_", "-") not in switches:
            next(waiting, None)
    return None


def _switches(kind: type, prefix: str) -> set[str]:
    """The options that take no value."""
    found = {"-h", "--help"}
    for name, field in get_type_hints(kind).items():
        option = prefix + name.replace("_", "-")
        if dataclasses.is_dataclass(field):
            found |= _switches(field, f"{option}.")  # type: ignore[arg-type]
        elif field is bool:
            found |= {_switch(option, True), _switch(option, False)}
    return found


def _switch(option: str, value: bool) -> str:
    group, dot, name = option.rpartition(".")
    return f"--{group}{dot}{'' if value else 'no-'}{name}"


def _read(file: Path) -> dict[Any, Any]:
    try:
        values = parse_yaml(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"--config {file} cannot be read: {error.strerror}") from None
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise InputError(f"--config {file} is not valid YAML: {reason}") from None
    if not isinstance(values, dict):
        raise InputError(f"--config {file} must hold `option: value` lines, one for each option")
    return _migrate(values)


def _migrate(values: dict[Any, Any]) -> dict[Any, Any]:
    """Update the options of a run from before its objective's weights were balanced."""
    objective = values.get("objective")
    weights = ("image_weight", "layer_weight", "stage_weight")
    if not isinstance(objective, dict) or "balance" in objective:
        return values
    if not objective.keys() >= {"kind", "slope", *weights}:  # only a run folder's file has them all
        return values
    if objective["kind"] == "calibrated":
        return values | {"objective": objective | {"balance": False}}
    own = {key: value for key, value in objective.items() if key not in weights}
    return values | {"objective": own}


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
            found += _option(fields[name], f"{prefix}{name}", value, file)
    return found


def _option(kind: Any, name: str, value: Any, file: Path | str) -> list[str]:
    """One option, tried alone so that a wrong value is reported with its file."""
    flag = "--" + name.replace("_", "-")
    if isinstance(value, bool) and kind is bool:
        return [_switch(flag.removeprefix("--"), value)]
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
