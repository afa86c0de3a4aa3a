"""Differences between two settings, run by run, over one or several studies.

python studies/paired.py studies/results/leeds/study.json --pairs guided:energy calibrated:ce

A run of the first is paired with that of the second under the same seed and split. Mean ± half the
95 % t interval over the pairs, as if they were independent: those of one split share their test
images, and splits of one data set share images, so the intervals are somewhat too narrow.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from sib.study.interval import seed_interval

FIGURES = {"accuracy": "accuracy", "mean_energy": "mean energy"}
Values = dict[str, list[float]]


def main(
    studies: Annotated[tuple[Path, ...], tyro.conf.Positional], pairs: tuple[str, ...]
) -> None:
    """Print a table, a row a pair and study, and one of all studies together.

    Args:
        studies: files study.json.
        pairs: SETTING:SETTING, the second to be subtracted.
    """
    found = {file.parent.name: _runs(file) for file in studies}
    print("| pair | study | pairs | accuracy | mean energy |\n|---|---|---|---|---|")
    for pair in pairs:
        first, _, second = pair.partition(":")
        each = {name: _differences(runs, first, second) for name, runs in found.items()}
        if len(each) > 1:
            each["all"] = _joined(each.values())
        for name, values in each.items():
            if values["accuracy"]:
                cells = " | ".join(_cell(values[figure]) for figure in FIGURES)
                print(f"| {first} less {second} | {name} | {len(values['accuracy'])} | {cells} |")


def _runs(file: Path) -> dict[str, dict[tuple[int, int], dict[str, Any]]]:
    """The runs of each setting by seed and split."""
    settings = json.loads(file.read_text())["settings"]
    return {
        setting["name"]: {(run["seed"], run["split_seed"]): run for run in setting["runs"]}
        for setting in settings
    }


def _differences(
    runs: dict[str, dict[tuple[int, int], dict[str, Any]]], first: str, second: str
) -> Values:
    own, other = runs.get(first, {}), runs.get(second, {})
    shared = sorted(own.keys() & other.keys())
    return {figure: [own[key][figure] - other[key][figure] for key in shared] for figure in FIGURES}


def _joined(each: Iterable[Values]) -> Values:
    listed = list(each)
    return {figure: [v for values in listed for v in values[figure]] for figure in FIGURES}


def _cell(values: list[float]) -> str:
    """Mean ± half the interval."""
    found = seed_interval(np.array(values)[:, None])
    half = "" if found.low is None else f" ± {(found.high - found.low) / 2:.3f}"
    return f"{found.mean:+.3f}{half}".replace("-", "−")


if __name__ == "__main__":
    tyro.cli(main)
