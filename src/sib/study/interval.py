"""Intervals over seeds and splits."""

from typing import NamedTuple

import numpy as np
from scipy import stats

from sib.evaluation.statistics import LEVEL, Array


class Estimate(NamedTuple):
    """A mean over runs and its interval."""

    mean: float
    low: float | None
    """None for a single run."""
    high: float | None
    seeds: int
    splits: int


def seed_interval(values: Array) -> Estimate:
    """Mean of runs with its 95 % t interval over seeds and splits.

    With one split: the t interval of the seeds' values, mean ± t_{S−1} s / √S. With one seed: the
    same over splits. With several of both, each seed on each split: Var = (A + B − E) /
    SP, with mean squares A between seeds, B between splits and E for the residual. The degrees of
    freedom are (A + B − E)² / (A²/(S−1) + B²/(P−1) + E²/((S−1)(P−1))). If E exceeds the smaller of
    A and B, only the larger of the two is used.

    Args:
        values: (S, P), values of S seeds on P splits, finite.

    Returns:
        `Estimate`.

    Source: Student 1908; Satterthwaite 1946 for the two-way case.
    """
    seeds, splits = values.shape
    mean = float(values.mean())
    if values.size == 1:
        return Estimate(mean, None, None, seeds, splits)
    square, freedom = _mean_square(values)
    half = stats.t.ppf((1 + LEVEL) / 2, freedom) * np.sqrt(square / values.size)
    return Estimate(mean, float(mean - half), float(mean + half), seeds, splits)


def _mean_square(values: Array) -> tuple[float, float]:
    """Mean square behind the variance of the mean, and its degrees of freedom."""
    seeds, splits = values.shape
    if seeds == 1 or splits == 1:
        return float(values.var(ddof=1)), values.size - 1
    rows, columns = values.mean(axis=1, keepdims=True), values.mean(axis=0, keepdims=True)
    between_seeds = splits * float(rows.var(ddof=1))
    between_splits = seeds * float(columns.var(ddof=1))
    left = values - rows - columns + values.mean()
    freedoms = (seeds - 1, splits - 1, (seeds - 1) * (splits - 1))
    rest = float((left**2).sum()) / freedoms[2]
    if rest >= min(between_seeds, between_splits):
        return max((between_seeds, freedoms[0]), (between_splits, freedoms[1]))
    squares = (between_seeds, between_splits, rest)
    total = between_seeds + between_splits - rest
    return total, total**2 / sum(s**2 / f for s, f in zip(squares, freedoms, strict=True))
