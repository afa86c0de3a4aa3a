"""Differences between two settings, run by run, over one or several studies.

python studies/paired.py studies/results/leeds/study.json --pairs guided:energy calibrated:ce

A run of the first is paired with that of the second under the same seed and split. Mean ± half the
95 % t interval over the pairs, as if they were independent: those of one split share their test
images, and splits of one data set share images, so the intervals are somewhat too narrow. The
energy is a mean over the explanation methods that all given studies have.
"""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from markdown_tables import cell

from sib.runs.archive import read_record
from sib.study.interval import seed_interval

Runs = dict[str, dict[tuple[int, int], dict[str, Any]]]
"""Of each setting, by seed and split."""


def main(
    studies: Annotated[tuple[Path, ...], tyro.conf.Positional], pairs: tuple[str, ...]
) -> None:
    """Print a table, a row a pair and study, and one of all studies together from three pairs on.

    Args:
        studies: files study.json, of a study's folder or of the archive beside it.
        pairs: SETTING:SETTING, the second to be subtracted.
    """
    read = [json.loads(read_record(file)) for file in studies]
    methods = [m for m in read[0]["methods"] if all(m in study["methods"] for study in read)]
    runs = [_runs(study) for study in read]
    print(f"| pair | study | pairs | accuracy | mean energy, {len(methods)} methods |")
    print("|---|---|---|---|---|")
    for pair in pairs:
        first, second = _names(pair, runs)
        each = [_differences(own, first, second, methods) for own in runs]
        rows = dict(zip((file.parent.name for file in studies), each, strict=True))
        found = [values for values in each if len(values)]
        if len(found) > 1 and sum(map(len, found)) > 2:  # two pairs would say nothing of others
            rows["all"] = np.concatenate(found)
        for name, values in rows.items():
            if len(values):
                estimates = (seed_interval(column[:, None])._asdict() for column in values.T)
                cells = " | ".join(cell(estimate, signed=True) for estimate in estimates)
                print(f"| {first} minus {second} | {name} | {len(values)} | {cells} |")


def _names(pair: str, runs: list[Runs]) -> list[str]:
    names, known = pair.split(":"), sorted({name for own in runs for name in own})
    if len(names) != 2 or not set(names) <= set(known):
        sys.exit(f"--pairs must be SETTING:SETTING of {', '.join(known)}; got {pair}")
    return names


def _runs(study: dict[str, Any]) -> Runs:
    return {
        setting["name"]: {(run["seed"], run["split_seed"]): run for run in setting["runs"]}
        for setting in study["settings"]
    }


def _differences(runs: Runs, first: str, second: str, methods: list[str]) -> np.ndarray:
    """(pairs, 2): of accuracy and of mean energy."""
    own, other = runs.get(first, {}), runs.get(second, {})
    shared = sorted(own.keys() & other.keys())
    figures = [
        [each["accuracy"], np.mean([each[method] for method in methods])]
        for runs_of_one in (own, other)
        for each in (runs_of_one[key] for key in shared)
    ]
    table = np.array(figures, dtype=np.float64).reshape(2, len(shared), 2)
    return table[0] - table[1]


if __name__ == "__main__":
    tyro.cli(main)
