"""Replace ``--config FILE`` and the name of a recipe by their options."""

import dataclasses
from collections.abc import Collection
from pathlib import Path
from typing import Any, get_type_hints

from sib.config.facts import deciding, flatten, idle
from sib.config.recipes import find_recipe
from sib.config.yaml_file import parse_yaml
from sib.config.yaml_options import RECIPE, leave_out, options_of, switch
from sib.utils.errors import InputError


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
            options += options_of(kind, own, file)
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
        options += options_of(kind, leave_out(own, left_out) if _is_of_a_run(own) else own, file)
    return options + ([named, *rest] if given is None and named is not None else rest)


def _arguments(recipe: dict[str, Any], left_out: Collection[str]) -> list[str]:
    """The options of a recipe as arguments, without those that have no effect for the method."""
    found: list[str] = []
    for option, value in leave_out(recipe, left_out).items():
        found += [switch(option, value)] if isinstance(value, bool) else [f"--{option}", f"{value}"]
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
            found |= {switch(option, True), switch(option, False)}
    return found


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
