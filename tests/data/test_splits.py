"""Stratified splits."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sib.data.splits import stratified_split
from sib.utils.errors import InputError


@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.integers(2, 30), min_size=1, max_size=5),
    fraction=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**32),
)
def test_parts_are_disjoint_complete_sorted_and_stratified(counts, fraction, seed):
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    kept, held = stratified_split(labels, fraction, seed)
    assert sorted(kept + held) == list(range(len(labels)))
    assert kept == sorted(kept) and held == sorted(held)
    for label, count in enumerate(counts):
        taken = sum(labels[index] == label for index in held)
        assert 1 <= taken <= count - 1
        assert abs(taken - count * fraction) <= 1


def test_known_counts():
    labels = [0] * 10 + [1] * 5
    _, held = stratified_split(labels, 0.3, 0)
    assert [sum(labels[i] == label for i in held) for label in (0, 1)] == [3, 2]


def test_another_class_does_not_change_the_choice():
    _, alone = stratified_split([0] * 20, 0.25, 7)
    _, both = stratified_split([0] * 20 + [1] * 9, 0.25, 7)
    assert both[: len(alone)] == alone


def test_seeds_differ():
    assert stratified_split([0] * 40, 0.5, 0) != stratified_split([0] * 40, 0.5, 1)


def test_every_image_is_held_out_by_some_seed():
    chosen = [index for seed in range(200) for index in stratified_split([0] * 4, 0.25, seed)[1]]
    assert all(25 < chosen.count(index) < 80 for index in range(4))


@pytest.mark.parametrize("fraction", [0.0, 1.0, -1.0, float("nan")])
def test_fraction_out_of_range(fraction):
    with pytest.raises(InputError, match="fraction must lie between 0 and 1"):
        stratified_split([0, 0], fraction, 0)


def test_too_small_class_is_named():
    with pytest.raises(InputError, match="class owl has 1 image to split"):
        stratified_split([0, 0, 1], 0.5, 0, classes=["cat", "owl"])
