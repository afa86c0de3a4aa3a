"""The options of a run as plain values, and how two runs differ in them."""

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

from sib.config.facts import flatten, harmless, idle
from sib.config.train import TrainConfig
from sib.utils.image_size import plain_size

# an option that a stored run lacks, because sib did not have it then, had today's default, except
BEFORE = {
    "objective.kind": "published",
    "objective.balance": False,
    "objective.steady_interval": 8,
    "input.normalization": "half",
    "input.resize": "crop",
    "batch_norm": "train",
    "memory_format": "contiguous",
    "foreground": "colours",
    "objective.foreground_area": 0.2,
}
FORMER_LAYERS = ("objective.layer", "rival.layer")
"""The former name of ``layer``."""
REMOVED = ("compile",)
"""Options that runs of an older sib may have, and that changed no result but its rounding."""
ONCE = ("resume", "dry_run")
"""Options of a single call. No file keeps them, so that the file can start another run."""


def as_dict(config: TrainConfig) -> dict[str, Any]:
    """The configuration as plain values, with the run folder resolved."""
    values = dataclasses.asdict(dataclasses.replace(config, out=config.folder))
    for name in ONCE:
        del values[name]
    given = [name for name in ("out", "root", "labels") if values[name] is not None]
    paths = {name: str(values[name]) for name in given}
    return values | paths | {"image_size": plain_size(config.side)}


def complete(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Every option of a stored run by full name, those that its sib did not have yet included.

    Args:
        stored: content of the run's ``config.yaml``.
    """
    defaults = flatten(as_dict(TrainConfig(data=str(stored.get("data", "")))))
    return defaults | stored_options(stored)


def stored_options(stored: Mapping[str, Any]) -> dict[str, Any]:
    """The options in a run's ``config.yaml``, by full name.

    Options added later get the value that matches what runs did before them.
    """
    values = BEFORE | flatten(stored)
    for name in REMOVED:
        values.pop(name, None)
    named = [values.pop(name, None) for name in FORMER_LAYERS]
    return {"layer": next(filter(None, named), None)} | values


def differences(
    stored: dict[str, Any], config: TrainConfig, may_differ: Collection[str]
) -> list[str]:
    """What was configured differently, one clause per option.

    Args:
        stored: content of the run's ``config.yaml``.
        config: the configuration to compare with.
        may_differ: full names that do not count. Options that have no effect in either run do not
            count either.
    """
    before, now = complete(stored), flatten(as_dict(config))
    ignored = idle(TrainConfig, before) & idle(TrainConfig, now) | set(may_differ)
    return [
        f"{key} was {before.get(key)!r} and is {now.get(key)!r}"
        for key in sorted((before.keys() | now.keys()) - ignored)
        if before.get(key) != now.get(key)
    ]


def configuration(stored: Mapping[str, Any]) -> dict[str, Any]:
    """What the result of a stored run depends on, except its seed.

    Two runs with the same configuration are repeats of one another.

    Args:
        stored: content of the run's ``config.yaml``.
    """
    values = complete(stored)
    left_out = harmless(TrainConfig) | idle(TrainConfig, values) | {"seed"}
    return {name: value for name, value in values.items() if name not in left_out}
