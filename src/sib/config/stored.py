"""The options of a run as plain values, and in what two runs differ."""

import dataclasses
from collections.abc import Collection
from typing import Any

from sib.config.train import CALIBRATED, TrainConfig
from sib.utils.image_size import plain_size

# What may differ when a run goes on: where it lies, how fast it runs and how far it goes.
MAY_CHANGE = {"out", "root", "device", "workers", "resume", "dry_run", "epochs", "input.cache"}
MAY_CHANGE |= {"save_every_steps", "micro_batch", "checkpoint", "on_bad_image", "bad_steps"}
MAY_CHANGE |= {"freeze", "unfreeze_after", "early_stopping"}

BEFORE = {
    "objective.kind": "published",
    "objective.balance": False,
    "input.normalization": "half",
    "batch_norm": "train",
}
"""What runs did before there was an option."""
CALIBRATED_OPTIONS = {f"objective.{name}" for name in CALIBRATED}
"""Without effect on runs of other methods and of the published objective."""


def as_dict(config: TrainConfig) -> dict[str, Any]:
    """The configuration as plain values, with the run folder resolved."""
    values = dataclasses.asdict(dataclasses.replace(config, out=config.folder))
    del values["resume"], values["dry_run"]  # so that the file can start another run
    paths = {name: str(values[name]) for name in ("out", "root")}
    return values | paths | {"image_size": plain_size(config.side)}


def differences(
    stored: dict[str, Any], config: TrainConfig, may_differ: Collection[str]
) -> list[str]:
    """What was configured otherwise, a clause an option.

    Args:
        stored: content of a run's ``config.yaml``. An option that it lacks, because sib did not
            have it then, stood at what is its default now.
        config: to compare with.
        may_differ: names that do not count, those of nested options with dots.
    """
    defaults = _flat(as_dict(TrainConfig(data=config.data)))
    before, now = defaults | recorded(stored), _flat(as_dict(config))
    idle = set() if _is_calibrated(before) or _is_calibrated(now) else CALIBRATED_OPTIONS
    return [
        f"{key} was {before.get(key)!r} and is {now.get(key)!r}"
        for key in sorted((before.keys() | now.keys()) - idle)
        if key not in may_differ and before.get(key) != now.get(key)
    ]


def recorded(stored: dict[str, Any]) -> dict[str, Any]:
    """The options in a run's ``config.yaml``, nested ones with dots in their names.

    Options that came later stand at what runs did before them, where that is not their default.
    """
    return BEFORE | _flat(stored)


def _is_calibrated(options: dict[str, Any]) -> bool:
    return options["method"] == "sib" and options["objective.kind"] == "calibrated"


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested options with dots in their names."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        found |= _flat(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return found
