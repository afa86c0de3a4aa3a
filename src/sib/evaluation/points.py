"""Runs as points of accuracy and energy, with their intervals."""

from typing import Any

import numpy as np

from sib.evaluation.groups import group_by_seed
from sib.evaluation.scores import ENERGY, energies, shared_methods
from sib.evaluation.statistics import mean_interval
from sib.evaluation.stored import Evaluation, headline


def points(stored: list[Evaluation]) -> list[dict[str, Any]]:
    """Accuracy, or mAP, and mean energy inside the foreground for each run.

    The energy is a mean over the methods of explanation that all runs have.

    Returns:
        For each run whose energy is known ``group``, ``name``, ``measure``, ``accuracy`` and
        ``localisation``; ``accuracy_interval`` and ``localisation_interval``, (low, high) of 95 %
        over images, or None; and ``even``, the energy of an even map.
    """
    methods = shared_methods([item.scores for item in stored])
    found = []
    for group in group_by_seed(stored):
        for member in group.members:
            known = [
                member.facts["table"][method][ENERGY]["mean"]
                for method in methods
                if member.facts["table"][method][ENERGY]["mean"] is not None
            ]
            if not known:
                continue
            measure, entry = headline(member.facts)
            interval = mean_interval(energies(member.scores, methods)[:, None])
            found.append(
                {
                    "group": group.name,
                    "name": member.name,
                    "measure": measure,
                    "accuracy": entry["mean"],
                    "accuracy_interval": _ends(entry.get("low"), entry.get("high")),
                    "localisation": float(np.mean(known)),
                    "localisation_interval": _ends(float(interval.low[0]), float(interval.high[0])),
                    "even": member.facts["foreground_share"],
                }
            )
    return found


def _ends(low: float | None, high: float | None) -> tuple[float, float] | None:
    return None if low is None or high is None or np.isnan(low) else (low, high)
