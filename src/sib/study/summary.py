"""The results of a study: figures of the chosen runs on test, and their differences."""

from pathlib import Path
from typing import Any

import numpy as np

from sib.evaluation.groups import check_same_images
from sib.evaluation.statistics import Array
from sib.evaluation.stored import Evaluation, label_entries, read_stored
from sib.study.audits import audit_figures
from sib.study.description import Study
from sib.study.evaluation import ENERGY
from sib.study.interval import seed_interval
from sib.study.plan import Run
from sib.study.selection import Candidate, Choice

FORMAT = 1
ACCURACY, MEAN = "accuracy", "mean_energy"

Figures = dict[str, float | None]
"""Figures of one run: accuracy, mAP and F1 of several labels, mean and each method's energy."""


def summarise(study: Study, choices: list[Choice], failed: list[str]) -> dict[str, Any]:
    """The content of ``study.json``.

    Args:
        study: the study's description.
        choices: the grid points to report.
        failed: a sentence for each failed run.

    Raises:
        InputError: an evaluation is damaged, or runs saw different images.
    """
    stored = {run.name: read_stored(run.folder) for run in reported_runs(choices)}
    _check_images(choices, stored)
    methods = _methods(list(stored.values()))
    audits = _audits([item.folder for item in stored.values()])
    figures = {name: _figures(item, methods, audits) for name, item in stored.items()}
    grids = {s.name: _grid(study, s.name, choices, figures) for s in study.settings}
    counts = [len(grid) for grid in grids.values() if grid]
    return {
        "format": FORMAT,
        "file": str(study.file),
        "seeds": list(study.seeds),
        "split_seeds": list(study.split_seeds),
        "reference": study.reference,
        "choose_by": study.choose_by,
        "accuracy_margin": study.accuracy_margin,
        "interval": explanation(study, counts),
        "methods": methods,
        "audit": audits,
        "settings": [
            _described(s.name, choices, figures)
            | {"figures": _estimates(grids[s.name], None)}
            | {"difference": _estimates(grids[s.name], grids[study.reference])}
            for s in study.settings
        ],
        "failed": failed,
    }


def reported_runs(choices: list[Choice]) -> list[Run]:
    """The chosen runs that were evaluated on test."""
    return [run for choice in choices for run in choice.chosen.runs if run.is_evaluated("test")]


def explanation(study: Study, counts: list[int]) -> str:
    """Explain the intervals in a sentence or two.

    Args:
        study: the reported study.
        counts: number of seeds of each setting that has any.
    """
    fewest, seeds, splits = min(counts, default=0), max(counts, default=0), len(study.split_seeds)
    if seeds * splits <= 1:
        return "One run per setting: nothing is known about other seeds."
    counted = f"{seeds}" if fewest == seeds else f"{fewest} to {seeds}"
    over = f"{counted} seeds" if splits == 1 else f"{splits} splits"
    if seeds > 1 and splits > 1:
        over = f"{counted} seeds and {splits} splits, each with each"
    fixed = f"{'Within a split the' if splits > 1 else 'The'} test images are held fixed"
    return (
        f"Mean ± half its 95 % t interval over {over}; differences are paired by seed and split. "
        f"{fixed}: the report's intervals draw them too."
    )


def _check_images(choices: list[Choice], stored: dict[str, Evaluation]) -> None:
    for split_seed in {choice.split_seed for choice in choices}:
        own = [choice for choice in choices if choice.split_seed == split_seed]
        runs = [stored[run.name] for run in reported_runs(own)]
        if runs:
            check_same_images(runs)


def _methods(stored: list[Evaluation]) -> list[str]:
    """The methods whose energy every run has."""
    if not stored:
        return []
    first, *others = [
        [m for m, row in s.facts["table"].items() if row.get(ENERGY, {}).get("mean") is not None]
        for s in stored
    ]
    return [method for method in first if all(method in other for other in others)]


def _audits(folders: list[Path]) -> list[str]:
    """The audit figures that every run has."""
    if not folders:
        return []
    first, *others = [audit_figures(folder) for folder in folders]
    return [name for name in first if all(name in other for other in others)]


def _figures(stored: Evaluation, methods: list[str], audits: list[str]) -> Figures:
    energies = {method: stored.facts["table"][method][ENERGY]["mean"] for method in methods}
    mean = float(np.mean(list(energies.values()))) if energies else None
    behaviour = audit_figures(stored.folder) if audits else {}
    return {
        ACCURACY: stored.facts["accuracy"]["mean"],
        **{name: entry["mean"] for name, entry in label_entries(stored.facts).items()},
        MEAN: mean,
        **energies,
        **{name: behaviour[name] for name in audits},
    }


def _grid(
    study: Study, setting: str, choices: list[Choice], figures: dict[str, Figures]
) -> dict[int, list[Figures]]:
    """Figures of each seed on all splits in order; seeds that lack one are left out."""
    found: dict[int, dict[int, Figures]] = {seed: {} for seed in study.seeds}
    for choice in (choice for choice in choices if choice.setting == setting):
        for run in choice.chosen.runs:
            if run.name in figures:
                found[run.seed][choice.split_seed] = figures[run.name]
    return {
        seed: [by_split[split] for split in study.split_seeds]
        for seed, by_split in found.items()
        if len(by_split) == len(study.split_seeds)
    }


def _estimates(
    own: dict[int, list[Figures]], reference: dict[int, list[Figures]] | None
) -> dict[str, Any] | None:
    """Each figure's mean and interval, or those of its difference to the reference."""
    if reference is own:
        return None
    seeds = [seed for seed in own if reference is None or seed in reference]
    if not seeds:
        return None
    found = {}
    for name in own[seeds[0]][0]:
        values = _matrix(own, seeds, name)
        if reference is not None:
            values = values - _matrix(reference, seeds, name)
        if np.isfinite(values).all():
            found[name] = seed_interval(values)._asdict() | {"values": values.tolist()}
    return found


def _matrix(grid: dict[int, list[Figures]], seeds: list[int], name: str) -> Array:
    rows = [[figures.get(name) for figures in grid[seed]] for seed in seeds]
    return np.array(rows, dtype=np.float64)


def _described(name: str, choices: list[Choice], figures: dict[str, Figures]) -> dict[str, Any]:
    own = [choice for choice in choices if choice.setting == name]
    return {
        "name": name,
        "choices": [
            {
                "split_seed": choice.split_seed,
                "chosen": _candidate(choice.chosen),
                "others": [_candidate(other) for other in choice.others],
                "incomplete": list(choice.incomplete),
                "within_margin": choice.within_margin,
            }
            for choice in own
        ],
        "runs": [
            {"run": run.name, "seed": run.seed, "split_seed": run.split_seed, **figures[run.name]}
            for choice in own
            for run in choice.chosen.runs
            if run.name in figures
        ],
    }


def _candidate(candidate: Candidate) -> dict[str, Any]:
    return {
        "point": candidate.point,
        "options": candidate.runs[0].point.choice,
        f"validation_{candidate.measure}": candidate.accuracy,
        "validation_energy": candidate.energy,
    }
