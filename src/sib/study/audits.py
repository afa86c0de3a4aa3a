"""What a study reports about the audits of its runs."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sib.evaluation.stored import AUDIT
from sib.runs.reader import read_json
from sib.utils.errors import InputError
from sib.utils.files import sha256_of


class Figure(NamedTuple):
    """One figure of an audit."""

    label: str
    kind: str
    """Kind of the conditions; the figure is their mean over the ways of filling."""
    name: str
    """Name of the figure under a condition."""
    better: int
    """1 if higher is better, −1 if lower is, 0 if neither."""


FIGURES = {
    "audit_exchanged": Figure("background exchanged", "exchanged", "accuracy", 1),
    "audit_changed": Figure("  decisions changed", "exchanged", "changed", -1),
    "audit_log_odds": Figure("  log-odds change", "exchanged", "log_odds_change", 1),
    "audit_object": Figure("object alone", "object_alone", "accuracy", 1),
    "audit_background": Figure("background alone", "background_alone", "accuracy", 0),
    "audit_worst_class": Figure("worst class", "original", "worst_class", 1),
    "audit_worst_group": Figure("worst group", "original", "worst_group", 1),
}


def is_audited(folder: Path, weights: Path) -> bool:
    """Whether a folder holds an undamaged audit of these weights, which may have been removed."""
    try:
        found = read_json(folder / AUDIT.result)
        weighed = sha256_of(weights) if weights.exists() else found.get("weights_sha256")
        whole = found.get("images_sha256") == sha256_of(folder / AUDIT.images)
    except (InputError, OSError):
        return False
    same = found.get("weights_sha256") == weighed and found.get("format") == AUDIT.format
    return whole and same and found.get("options", {}).get("split") == "test"


def audit_figures(folder: Path) -> dict[str, float]:
    """The figures that an audit has, by name; none without an audit."""
    if not (folder / AUDIT.result).is_file():
        return {}
    return figures_of(read_json(folder / AUDIT.result).get("conditions", {}))


def figures_of(conditions: dict[str, Any]) -> dict[str, float]:
    """The figures that the conditions of an audit give, by name."""
    found = {name: _mean(conditions, figure) for name, figure in FIGURES.items()}
    return {name: value for name, value in found.items() if value is not None}


def _mean(conditions: dict[str, Any], figure: Figure) -> float | None:
    """Mean over the ways of filling; None if one of them has no value."""
    entries = [
        row.get(figure.name)
        for condition, row in conditions.items()
        if condition == figure.kind or condition.rpartition("_")[0] == figure.kind
    ]
    values = [entry["mean"] for entry in entries if entry is not None]
    if not values or len(values) < len(entries) or None in values:
        return None
    return float(np.mean(values))
