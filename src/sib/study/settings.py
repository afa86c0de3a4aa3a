"""The settings of a study, and the points of those that are grids."""

import itertools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sib.config.facts import idle
from sib.config.train import TrainConfig
from sib.config.yaml_options import from_arguments, options_of
from sib.utils.errors import InputError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
STUDY_KEYS = {
    "data": "data",
    "root": "root",
    "out": "out",
    "seed": "seeds",
    "input.split_seed": "split_seeds",
}
"""Options of sib train for which a study has its own key."""
NEVER = ("recipe", "resume", "dry_run")
ONE_FOR_ALL = (
    "input.validation_fraction",
    "input.test_fraction",
    "input.test_split",
    "input.masks",
    "input.background_strength",
    "input.train_size",
    "input.test_size",
)
"""Options that decide which images there are, so that all settings share them."""
FILES = ("weights",)
"""Options that may name a file; it is searched beside the study file first."""
LARGEST_GRID = 1000

Flat = dict[str, Any]


@dataclass(frozen=True)
class Point:
    """One configuration of a setting."""

    name: str
    """The setting's name, and the values that the grid chose."""
    choice: Flat
    """The grid's options, with their values at this point; empty if there is no grid."""
    arguments: tuple[str, ...]
    """Options for ``sib train``, without seed, split and place."""
    config: TrainConfig


@dataclass(frozen=True)
class Setting:
    """A named configuration, or a grid from which one point is chosen on validation."""

    name: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Common:
    """What all settings share."""

    file: Path
    data: str
    root: str
    options: dict[Any, Any]


def read_settings(common: Common, described: dict[Any, Any]) -> tuple[Setting, ...]:
    """Every setting with every point of its grid, as configurations of ``sib train``.

    Args:
        common: shared options.
        described: options of each setting, by name; a list of values makes a grid.

    Raises:
        InputError: a name, an option or a value is not allowed, or two points are the same.
    """
    if not described:
        raise InputError(f"{common.file}: settings must hold at least one `NAME: options`")
    shared = _beside(common.file, _flat(common.options, f"{common.file}: common"))
    _check_options(shared, f"{common.file}: common", ())
    options_of(TrainConfig, shared, f"{common.file}: common")
    settings = tuple(_setting(common, shared, name, own) for name, own in described.items())
    _check_different(common.file, settings)
    return settings


def _setting(common: Common, shared: Flat, name: Any, own: Any) -> Setting:
    where = f"{common.file}: settings.{name}"
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise InputError(
            f"{where}: a setting's name must be up to 64 letters, digits and . _ + -, and not "
            f"just a number; got {name!r}"
        )
    if not isinstance(own, dict):
        raise InputError(f"{where} must hold options of sib train, indented; got {own!r}")
    flat = _beside(common.file, _flat(own, where))
    _check_options(flat, where, ONE_FOR_ALL)
    points = tuple(
        _point(common, where, name, _combined(common, shared, flat | choice), choice)
        for choice in _choices(flat, where)
    )
    return Setting(name, points)


def _combined(common: Common, shared: Flat, own: Flat) -> Flat:
    """The options of a point; shared ones that its method does not have are left out."""
    left_out = idle(TrainConfig, {"data": common.data} | shared | own)
    return {key: value for key, value in shared.items() if key not in left_out} | own


def _point(common: Common, where: str, name: str, options: Flat, choice: Flat) -> Point:
    arguments = ["--data", common.data, "--root", common.root]
    arguments += options_of(TrainConfig, options, where)
    config = from_arguments(TrainConfig, arguments, where)
    chosen = "".join(f"-{key.rpartition('.')[2]}={_safe(value)}" for key, value in choice.items())
    _check_config(config, where)
    return Point(name + chosen, choice, tuple(arguments), config)


def _check_config(config: TrainConfig, where: str) -> None:
    if config.selection != "validation":
        raise InputError(
            f"{where}: selection must be validation in a study, which chooses its settings there; "
            f"got {config.selection!r}"
        )
    if config.device.startswith("cuda:"):
        raise InputError(
            f"{where}: device must be auto, cpu, cuda or mps, since a study assigns the GPUs "
            f"itself (CUDA_VISIBLE_DEVICES names those it may take); got {config.device!r}"
        )


def _choices(flat: Flat, where: str) -> list[Flat]:
    """Every combination of values from the options that are lists."""
    grid = {key: value for key, value in flat.items() if isinstance(value, list)}
    for key, values in grid.items():
        if not values:
            raise InputError(f"{where}: {key} is an empty list; a grid needs at least one value")
        if len({str(value) for value in values}) < len(values):
            raise InputError(f"{where}: {key} has a duplicate: {values}")
    choices = [
        dict(zip(grid, values, strict=True))
        for values in itertools.islice(itertools.product(*grid.values()), LARGEST_GRID + 1)
    ]
    if len(choices) > LARGEST_GRID:
        raise InputError(f"{where} has more than {LARGEST_GRID} grid points")
    return choices


def _flat(values: dict[Any, Any], where: str, prefix: str = "") -> Flat:
    flat: Flat = {}
    for key, value in values.items():
        name = f"{prefix}{str(key).replace('-', '_')}"
        found = _flat(value, where, f"{name}.") if isinstance(value, dict) else {name: value}
        twice = flat.keys() & found.keys()
        if twice:
            raise InputError(f"{where}: {min(twice)} is duplicated")
        flat |= found
    return flat


def _beside(file: Path, flat: Flat) -> Flat:
    """The options, with relative names of weights files resolved beside the study file."""

    def found(value: Any) -> Any:
        if isinstance(value, str) and (file.parent / value).is_file():
            return str(file.parent / value)
        return [found(item) for item in value] if isinstance(value, list) else value

    return {key: found(value) if key in FILES else value for key, value in flat.items()}


def _check_options(flat: Flat, where: str, shared: tuple[str, ...]) -> None:
    for key in flat:
        if key in STUDY_KEYS:
            raise InputError(f"{where}: {key} belongs under the study's own key {STUDY_KEYS[key]}")
        if key in NEVER:
            raise InputError(f"{where}: {key} is not an option of a study's run")
        if key in shared:
            raise InputError(
                f"{where}: {key} decides which images there are, so it must be the same for all "
                "settings: put it under common"
            )


def _check_different(file: Path, settings: tuple[Setting, ...]) -> None:
    points = [point for setting in settings for point in setting.points]
    for index, point in enumerate(points):
        for other in points[:index]:
            if other.config == point.config:
                raise InputError(
                    f"{file}: {other.name} and {point.name} are the same configuration"
                )
            if other.name == point.name:
                raise InputError(f"{file}: two grid points would share the folder {point.name}")


def _safe(value: Any) -> str:
    """A value as part of a folder's name."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "_", str(value))
