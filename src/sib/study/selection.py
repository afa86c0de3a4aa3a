"""Chooses the point of each grid to report: on validation, never on test."""

from dataclasses import dataclass

import numpy as np

from sib.evaluation.stored import EVALUATION
from sib.runs.reader import read_json
from sib.study.description import CHOOSE_BY, Study
from sib.study.evaluation import ENERGY
from sib.study.plan import VALIDATION, Run
from sib.study.settings import Setting
from sib.utils.errors import InputError


@dataclass(frozen=True)
class Candidate:
    """A grid point on one split, with its validation figures averaged over the seeds."""

    point: str
    runs: tuple[Run, ...]
    """By seed."""
    accuracy: float
    """On validation; mAP with several labels an image."""
    energy: float | None
    """Mean over the explanation methods; None if the choice does not need it."""
    measure: str = "accuracy"
    """What ``accuracy`` is, ``"accuracy"`` or ``"map_macro"``."""


@dataclass(frozen=True)
class Choice:
    """The choice for a setting on one split."""

    setting: str
    split_seed: int
    chosen: Candidate
    others: tuple[Candidate, ...]
    incomplete: tuple[str, ...] = ()
    """Points with a failed run, which could not be chosen."""
    within_margin: bool = True
    """False if no point was accurate enough, and the most accurate one was taken."""


def choose(study: Study, runs: list[Run]) -> list[Choice]:
    """Choose one point of each setting for each split, by the figures on validation only.

    With repeated splits the choice is repeated for each, since validation images of one may be test
    images of another.

    Args:
        study: describes how to choose.
        runs: runs of the study; those that are not trained count as failed.

    Returns:
        The choices, the reference's first in each split. A setting without a complete point has
        none.
    """
    found = []
    for split_seed in study.split_seeds:
        own = [run for run in runs if run.split_seed == split_seed]
        reference = next(s for s in study.settings if s.name == study.reference)
        first = _choose(study, reference, own, None)
        margin = first.chosen.accuracy - study.accuracy_margin if first else np.inf
        rest = [s for s in study.settings if s is not reference]
        choices = [first, *(_choose(study, setting, own, margin) for setting in rest)]
        found += [choice for choice in choices if choice is not None]
    return found


def _choose(study: Study, setting: Setting, runs: list[Run], least: float | None) -> Choice | None:
    """The ``least`` accuracy; None for the reference, infinite if the reference has no figure."""
    members = {
        point.name: tuple(run for run in runs if run.point == point) for point in setting.points
    }
    single = len(members) == 1
    energies = study.needs_energy and not single
    whole = {
        name: _candidate(name, own if not single else _trained(own), energies)
        for name, own in members.items()
        if (any if single else all)(_has_figures(run, energies) for run in own)
    }
    if not whole:
        return None
    best, within = _best(study, list(whole.values()), least)
    return Choice(
        setting.name,
        best.runs[0].split_seed,
        best,
        tuple(candidate for candidate in whole.values() if candidate is not best),
        tuple(name for name in members if name not in whole),
        within,
    )


def _best(study: Study, candidates: list[Candidate], least: float | None) -> tuple[Candidate, bool]:
    """The best point, the first in the file if tied, and whether the margin was met."""
    by_accuracy = max(candidates, key=lambda c: c.accuracy)
    if len(candidates) == 1 or study.choose_by == CHOOSE_BY[0]:
        return by_accuracy, True
    if study.choose_by == CHOOSE_BY[1]:
        return max(candidates, key=lambda c: _energy(c)), True
    if least is None:  # the reference is measured by its accuracy
        return by_accuracy, True
    accurate = [c for c in candidates if c.accuracy >= least - 1e-12]
    if not accurate:
        return by_accuracy, False
    return max(accurate, key=lambda c: _energy(c)), True


def _energy(candidate: Candidate) -> float:
    assert candidate.energy is not None
    return candidate.energy


def _trained(runs: tuple[Run, ...]) -> tuple[Run, ...]:
    return tuple(run for run in runs if run.is_trained())


def _has_figures(run: Run, energies: bool) -> bool:
    return run.is_trained() and (not energies or run.is_evaluated(VALIDATION))


def _candidate(name: str, runs: tuple[Run, ...], energies: bool) -> Candidate:
    found = [validation_accuracy(run) for run in runs]
    accuracy, measure = float(np.mean([value for value, _ in found])), found[0][1]
    energy = float(np.mean([validation_energy(run) for run in runs])) if energies else None
    return Candidate(name, runs, accuracy, energy, measure)


def validation_accuracy(run: Run) -> tuple[float, str]:
    """The best epoch's validation accuracy in ``result.json``; mAP with several labels an image.

    Returns:
        The figure, and its name: ``"accuracy"`` or ``"map_macro"``.

    Raises:
        InputError: the file is damaged.
    """
    path = run.folder / "result.json"
    found = read_json(path)
    measure = "map_macro" if "validation_map_macro" in found else "accuracy"
    value = found.get(f"validation_{measure}")
    if not isinstance(value, (int, float)):
        raise InputError(f"{path} is damaged: it has no validation_accuracy")
    return float(value), measure


def validation_energy(run: Run) -> float:
    """Mean over the explanation methods of the foreground energy on the validation images.

    Raises:
        InputError: the evaluation is damaged, or none of its images has a value.
    """
    path = run.folder / VALIDATION / EVALUATION.result
    found = [row.get(ENERGY, {}).get("mean") for row in read_json(path).get("table", {}).values()]
    known = [value for value in found if value is not None]
    if not known or len(known) < len(found):
        raise InputError(f"{path} has no {ENERGY} for a method, so grid points cannot be compared")
    return float(np.mean(known))
