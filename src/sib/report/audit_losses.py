"""The images that lose certainty when their background changes."""

import numpy as np

from sib.evaluation.audit.figures import over_fills
from sib.evaluation.audit.words import ORIGINAL
from sib.evaluation.scores import Scores
from sib.metrics.behaviour import CONDITIONS, FILLS

LOSS = 0.05
"""Fall of the probability of the first decision that counts as a loss."""


def possible(scores: Scores, place: int, column: str) -> str:
    """The column, or one with another way of filling if that one was not possible for the image."""
    kind = column.rpartition("_")[0]
    others = [f"{kind}_{fill}" for fill in reversed(FILLS)] if column in CONDITIONS else []
    for name in (column, *others):
        columns = [(name, value) for value in ("predicted", "correct")]
        known = [each for each in columns if each in scores.columns]
        if known and np.isfinite(scores.column(*known[0])[place]):
            return name
    return column


def reliance(scores: Scores) -> np.ndarray:
    """(N,) mean change of the log-odds under exchange, or with the object alone; NaN if none."""
    for kind in ("exchanged", "object_alone"):
        found = over_fills(scores, kind, "log_odds_change")
        if found is not None:
            return found
    return np.full(len(scores.names), np.nan)


def losses(scores: Scores, column: str, count: int) -> list[int]:
    """The images whose picture under a condition shows a loss, the largest reliance first.

    A loss is another decision, or a fall of the probability of the first one by at least `LOSS`.

    Args:
        scores: scores of the audit.
        column: the condition.
        count: most images.
    """
    fall = reliance(scores)
    ordered = [int(place) for place in np.argsort(fall, kind="stable")]
    return [place for place in ordered if _is_loss(scores, place, column)][:count]


def _is_loss(scores: Scores, place: int, column: str) -> bool:
    name = possible(scores, place, column)
    before = probability(scores, place, ORIGINAL)
    fall = before - probability(scores, place, name)
    return bool(scores.column(name, "changed")[place] == 1 or fall >= LOSS)


def probability(scores: Scores, place: int, column: str) -> float:
    """Probability of an image's first decision under a condition; NaN if there is none."""
    odds = scores.column(ORIGINAL, "log_odds")[place]
    if column != ORIGINAL:
        odds = odds + scores.column(column, "log_odds_change")[place]
    return float(1 / (1 + np.exp(-odds)))
