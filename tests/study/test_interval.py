"""Intervals against values found by hand and by scipy."""

import numpy as np
import pytest
from scipy import stats

from sib.study.interval import seed_interval


def test_three_seeds_by_hand():
    """Mean 2, s = 1, half width t(0.975; 2) / √3 = 4.302653 / 1.732051."""
    found = seed_interval(np.array([[1.0], [2.0], [3.0]]))
    assert found.mean == 2 and (found.seeds, found.splits) == (3, 1)
    assert found.high - found.mean == pytest.approx(2.484138, abs=1e-6)
    assert found.mean - found.low == pytest.approx(2.484138, abs=1e-6)


@pytest.mark.parametrize("shape", [(5, 1), (1, 5)])
def test_one_way_is_scipys_t_interval(shape):
    values = np.random.default_rng(0).normal(size=shape)
    low, high = stats.t.interval(0.95, 4, values.mean(), stats.sem(values.ravel()))
    found = seed_interval(values)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-12)


def test_one_run_has_no_interval():
    assert seed_interval(np.array([[0.5]])) == (0.5, None, None, 1, 1)


def test_two_seeds_on_two_splits_by_hand():
    """Rows 1 and 4, columns 1.5 and 3.5; A = 2 · 4.5 = 9, B = 2 · 2 = 4, E = 1 as every residual
    is ±0.5; variance (9 + 4 − 1) / 4 = 3, freedom 144 / (81 + 16 + 1) = 1.469388."""
    found = seed_interval(np.array([[0.5, 1.5], [2.5, 5.5]]))
    assert found.mean == 2.5
    expected = stats.t.ppf(0.975, 144 / 98) * np.sqrt(3)
    assert found.high - found.mean == pytest.approx(expected, rel=1e-12)


def test_splits_that_do_not_differ_leave_the_seeds_alone():
    """Columns are equal, so B = 0 and E = 0: A = 2 · 0.5 · 16 = 16 over 4, freedom 1."""
    found = seed_interval(np.array([[1.0, 1.0], [5.0, 5.0]]))
    assert found.high - found.mean == pytest.approx(stats.t.ppf(0.975, 1) * 2, rel=1e-12)


def test_it_covers_the_truth_as_often_as_it_says():
    """Crossed seeds and splits with spreads 1, 1 and 1: about 95 % of 2000 studies."""
    generator = np.random.default_rng(0)
    inside = 0
    for _ in range(2000):
        seeds, splits = generator.normal(size=(5, 1)), generator.normal(size=(1, 5))
        found = seed_interval(seeds + splits + generator.normal(size=(5, 5)))
        inside += found.low <= 0 <= found.high
    assert 0.92 < inside / 2000 < 0.98
