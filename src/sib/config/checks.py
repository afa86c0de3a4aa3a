"""Checks of option values, for the commands about trained classifiers."""

from pathlib import Path

from sib.metrics.registry import METRICS
from sib.utils.errors import InputError
from sib.utils.image_size import ImageSize, check_size
from sib.utils.nearest import perhaps
from sib.utils.normalization import Normalization, statistics


def check_methods(names: tuple[str, ...]) -> None:
    """Raise InputError unless all names are explanation methods, each given once."""
    if names:
        from sib.explain.registry import method_names

        check_names("methods", names, method_names())


def check_metrics(names: tuple[str, ...]) -> None:
    """Raise InputError unless all names are measures, each given once."""
    check_names("metrics", names, tuple(METRICS))


def check_names(option: str, names: tuple[str, ...], allowed: tuple[str, ...]) -> None:
    """Raise InputError unless all names are allowed and each is given once."""
    for name in names:
        if name not in allowed:
            raise InputError(
                f"--{option} has no {name!r}{perhaps(name, allowed)}; there are "
                f"{', '.join(allowed)}"
            )
    if len(set(names)) < len(names):
        raise InputError(f"--{option} has a duplicate: {' '.join(names)}")


def check_distinct(runs: tuple[Path, ...]) -> None:
    """Raise InputError where a run is given twice."""
    places = [run.resolve() for run in runs]
    for index, place in enumerate(places):
        if place in places[:index]:
            raise InputError(f"{runs[index]} is given twice")


def check_at_least_one(option: str, value: int | None) -> None:
    """Raise InputError unless a number is absent or at least 1."""
    if value is not None and value < 1:
        raise InputError(f"--{option} must be at least 1; got {value}")


def check_normalization(value: Normalization | None) -> None:
    """Raise InputError unless a normalisation is absent or allowed."""
    if value is not None:
        try:
            statistics(value)
        except InputError as error:
            raise InputError(f"--{error}") from None


def check_image_size(size: ImageSize | str | None) -> ImageSize | None:
    """The size as a number or a pair; None where it is absent. Raises InputError for any other."""
    return None if size is None else check_size(size, "--image-size")
