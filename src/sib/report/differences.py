"""Differences behind a page's answer: of two groups of runs, and of a group and an even map."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sib.evaluation.groups import Group
from sib.evaluation.label_intervals import label_difference
from sib.evaluation.scores import energies
from sib.evaluation.statistics import Array, paired_difference
from sib.evaluation.statistics import Difference as Columns
from sib.report.tables import wide_signed

RESAMPLES = 2000


class Difference(NamedTuple):
    """A difference with half its 95 % interval."""

    mean: float
    half: float
    sure: bool
    """Whether the interval excludes zero."""

    def __str__(self) -> str:
        return f"{wide_signed(self.mean)} ± {self.half:.3f}"


def difference(first: Group, second: Group, methods: Sequence[str] = ()) -> Difference:
    """Of the energy, a mean over methods of explanation; without any, of the accuracy."""
    paired = first.seeds is not None and first.seeds == second.seeds
    own, others = first.probabilities, second.probabilities
    if not methods and own is not None and others is not None:
        truth = first.members[0].scores.truth
        return _of_columns(label_difference(own, others, truth, paired, RESAMPLES))
    values = _values(first, methods), _values(second, methods)
    return _of_columns(paired_difference(*values, paired, RESAMPLES))


def over_even(group: Group, methods: Sequence[str]) -> Difference:
    """Of a group's energy and that of an even map, which is the object's share of each image."""
    shares = [member.scores.foreground_share for member in group.members]
    even = np.stack(shares)[..., None]
    return _of_columns(paired_difference(even, _values(group, methods), True, RESAMPLES))


def _of_columns(found: Columns) -> Difference:
    low, high = float(found.low[0]), float(found.high[0])
    return Difference(float(found.mean[0]), (high - low) / 2, low > 0 or high < 0)


def _values(group: Group, methods: Sequence[str]) -> Array:
    """(S, N, 1): energies, or whether the class is right."""
    scores = [member.scores for member in group.members]
    rows = [energies(each, methods) if methods else each.correct for each in scores]
    return np.stack(rows)[..., None]
