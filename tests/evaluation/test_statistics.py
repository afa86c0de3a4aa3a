"""The bootstrap, against values by hand, against scipy, and over repeated experiments."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, bootstrap

from sib.evaluation.statistics import mean_interval, paired_difference, share_interval

NAN = float("nan")


def test_mean_of_the_images_that_have_a_value():
    values = np.array([[1.0, NAN], [2.0, 4.0], [NAN, 6.0], [3.0, NAN]])
    found = mean_interval(values)
    assert found.mean.tolist() == [2.0, 5.0]
    assert found.images.tolist() == [3, 2]
    # two values, 4 and 6: every resampled mean is 4, 5 or 6
    assert 4 <= found.low[1] <= 5 <= found.high[1] <= 6


def test_a_column_without_any_value_has_no_interval():
    found = mean_interval(np.array([[NAN, 1.0], [NAN, 1.0]]))
    assert np.isnan([found.mean[0], found.low[0], found.high[0]]).all()
    assert (found.mean[1], found.low[1], found.high[1]) == (1.0, 1.0, 1.0)
    assert found.images.tolist() == [0, 2]


@pytest.mark.parametrize(("hits", "images"), [(0, 18), (3, 36), (200, 200), (5, 10)])
def test_the_interval_of_a_share_is_scipys_wilson_interval(hits, images):
    expected = binomtest(hits, images).proportion_ci(method="wilson")
    assert share_interval(hits / images, images) == pytest.approx(tuple(expected), abs=1e-6)


def test_the_interval_is_scipys_percentile_interval():
    values = np.random.default_rng(1).gamma(2.0, size=80)
    ours = mean_interval(values[:, None], resamples=20000)
    theirs = bootstrap(
        (values,), np.mean, n_resamples=20000, method="percentile", rng=np.random.default_rng(2)
    ).confidence_interval
    spread = theirs.high - theirs.low
    assert ours.low[0] == pytest.approx(theirs.low, abs=0.03 * spread)
    assert ours.high[0] == pytest.approx(theirs.high, abs=0.03 * spread)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    generator = np.random.default_rng(3)
    inside = 0
    for trial in range(300):
        found = mean_interval(generator.normal(size=(60, 1)), resamples=300, seed=trial)
        inside += bool(found.low[0] <= 0 <= found.high[0])
    assert 0.90 <= inside / 300 <= 0.985


def test_chunks_do_not_show():
    values = np.random.default_rng(0).normal(size=(30, 2))
    assert len(mean_interval(values, resamples=401).low) == 2
    assert mean_interval(values, resamples=1).low.tolist() == (
        mean_interval(values, resamples=1).high.tolist()
    )


def test_difference_by_hand():
    first = np.array([[[1.0], [2.0], [NAN]], [[3.0], [2.0], [5.0]]])  # two seeds, three images
    second = np.array([[[2.0], [4.0], [1.0]], [[4.0], [6.0], [1.0]]])
    found = paired_difference(first, second, paired_seeds=True)
    # images 0 and 1 count: means 2, 2 and 3, 5
    assert found.mean.tolist() == [2.0]
    assert found.images.tolist() == [2]
    # by seed and image: 1, 2 and 1, 4: no draw leaves that range
    assert 1 <= found.low[0] <= 2 <= found.high[0] <= 4
    assert found.p[0] == 0


def test_pairing_takes_out_what_images_share():
    generator = np.random.default_rng(4)
    shared = generator.normal(scale=5, size=(1, 200, 1))
    first = shared + generator.normal(scale=0.1, size=(1, 200, 1))
    second = shared + 0.1 + generator.normal(scale=0.1, size=(1, 200, 1))
    found = paired_difference(first, second, paired_seeds=True)
    assert found.low[0] > 0
    assert found.high[0] - found.low[0] < 0.1
    apart = mean_interval(first[0])
    assert apart.high[0] - apart.low[0] > 1


def test_seeds_that_disagree_widen_the_interval():
    images = np.zeros((3, 50, 1))
    agreeing, disagreeing = images + 0.1, images + np.array([-0.5, 0.1, 0.7])[:, None, None]
    sure = paired_difference(images, agreeing, paired_seeds=True)
    unsure = paired_difference(images, disagreeing, paired_seeds=True)
    assert sure.low[0] == pytest.approx(0.1) and sure.high[0] == pytest.approx(0.1)
    assert unsure.low[0] < 0 < unsure.high[0]
    assert unsure.mean[0] == pytest.approx(0.1)
    assert unsure.p[0] > 0.05


def test_nothing_differs_from_itself():
    values = np.random.default_rng(5).normal(size=(2, 20, 3))
    found = paired_difference(values, values, paired_seeds=True)
    assert found.mean.tolist() == found.low.tolist() == found.high.tolist() == [0, 0, 0]
    assert found.p.tolist() == [1, 1, 1]


def test_unpaired_seeds_may_differ_in_number():
    first, second = np.zeros((2, 10, 1)), np.ones((3, 10, 1))
    found = paired_difference(first, second, paired_seeds=False)
    assert (found.mean[0], found.low[0], found.high[0]) == (1, 1, 1)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=12),
    st.integers(0, 2**31),
)
def test_the_mean_lies_between_the_extremes_and_the_seed_repeats(values, seed):
    column = np.array(values)[:, None]
    found = mean_interval(column, resamples=50, seed=seed)
    slack = 1e-9 * max(1, np.abs(column).max())
    assert column.min() - slack <= found.low[0] <= found.high[0] <= column.max() + slack
    again = mean_interval(column, resamples=50, seed=seed)
    assert found.low.tolist() == again.low.tolist()
