"""The parts of the behaviour measures: fills, the worst group, log-odds, donors of backgrounds."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from helpers.centred import case
from sib.metrics.behaviour import FILLS, log_odds, remove_object, worst_accuracy
from sib.metrics.behaviour.donors import Reservoir


@pytest.mark.parametrize("fill", FILLS)
def test_nothing_of_the_object_is_left(fill):
    images, _, foreground = case()
    other = torch.where(foreground, images + 100, images)
    for pair in zip(images[3:], other[3:], foreground[3:], strict=True):
        first, second = (remove_object(x[None], pair[2][None], fill) for x in pair[:2])
        torch.testing.assert_close(first, second, rtol=0, atol=2e-4)
    kept = remove_object(images, foreground, fill)  # the object is its own box here
    assert torch.equal(kept.masked_fill(foreground, 0)[3:], images.masked_fill(foreground, 0)[3:])


def test_fills_by_hand():
    """A column of object between columns of 0 and 3: diffusion is linear, tiles repeat."""
    images = torch.tensor([0.0, 9.0, 9.0, 3.0]).repeat(2, 1)[None, None]
    foreground = (images == 9).bool()
    diffused = remove_object(images, foreground, "diffusion")
    torch.testing.assert_close(diffused[0, 0, 0], torch.tensor([0.0, 1.0, 2.0, 3.0]))
    tiled = remove_object(images, foreground, "tiled")
    assert tiled[0, 0].tolist() == [[0, 0, 0, 3]] * 2  # of two strips of one column, the first
    wide = torch.tensor([5.0, 7.0, 9.0, 9.0, 9.0, 1.0])[None, None, None]
    assert remove_object(wide, wide == 9, "tiled").flatten().tolist() == [5, 7, 5, 7, 5, 1]


def test_worst_accuracy_by_hand():
    nan = float("nan")
    correct = torch.tensor([1.0, 0.0, 1.0, 1.0, nan, 0.0])
    assert worst_accuracy(correct, torch.tensor([0, 0, 1, 1, 2, -1])) == (0.5, 0, 2)
    accuracy, group, images = worst_accuracy(torch.full((2,), nan), torch.tensor([0, 1]))
    assert math.isnan(accuracy) and (group, images) == (-1, 0)


@given(logits=st.lists(st.floats(-30, 30), min_size=2, max_size=6), row=st.integers(0, 5))
def test_log_odds_equal_those_of_the_probability(logits, row):
    row %= len(logits)
    exact = [math.exp(value) for value in logits]
    expected = math.log(exact[row] / math.fsum(exact[:row] + exact[row + 1 :]))
    found = log_odds(torch.tensor([logits], dtype=torch.float64), torch.tensor([row]))
    assert found.item() == pytest.approx(expected, abs=1e-9)


def test_log_odds_have_the_right_gradient():
    logits = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: log_odds(z, torch.tensor([0, 3, 1])), (logits,))


@given(
    labels=st.lists(st.integers(0, 4), min_size=1, max_size=40),
    size=st.integers(2, 12),
    seed=st.integers(0, 100),
)
def test_donors_are_spread_over_the_classes(labels, size, seed):
    reservoir = Reservoir(size, seed)
    count = len(labels)
    images = torch.arange(count, dtype=torch.float32).view(-1, 1, 1, 1).expand(-1, 1, 2, 2)
    foreground = torch.tensor([[[[True, False], [False, False]]]]).expand(count, 1, 2, 2)
    usable = torch.ones(count, dtype=torch.bool)
    for rows in torch.arange(count).split(7):
        reservoir.add(images[rows], torch.tensor(labels)[rows], foreground[rows], usable[rows])
    donors = reservoir.donors(("surroundings",))
    assert len(donors.labels) == min(size, count)
    assert [labels[index] for index in donors.indices] == donors.labels.tolist()
    assert donors.backgrounds["surroundings"][:, 0, 1, 1].tolist() == donors.indices.tolist()
    kept = {label: donors.labels.tolist().count(label) for label in set(labels)}
    most = max(kept.values())
    # a class with fewer donors than another lends all that it has
    assert all(
        number >= most - 1 or number == labels.count(label) for label, number in kept.items()
    )
