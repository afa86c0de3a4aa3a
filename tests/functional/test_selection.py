"""Order statistics without a full sort, against a full sort."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sib.functional import selection
from sib.functional.selection import SHORTEST, order_statistic_indices

WINDOWS = [(0, 0), (190, 230), (3270, 3290), (4095, 4095)]


def values_at(rows, windows):
    return [rows.gather(-1, indices) for indices in order_statistic_indices(rows, windows)]


def sorted_at(rows, windows):
    ordered = rows.sort(dim=-1).values
    return [ordered[:, first : last + 1] for first, last in windows]


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**20),
    rows=st.integers(1, 5),
    extra=st.integers(0, 3000),
    kind=st.sampled_from(["normal", "smooth", "few values", "constant", "huge", "tiny", "ramp"]),
)
def test_ranks_are_those_of_a_sort(seed, rows, extra, kind):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, SHORTEST + extra, generator=generator)
    x = {
        "normal": x,
        "smooth": x.cumsum(-1),
        "few values": x.round(),
        "constant": torch.full_like(x, 0.5),
        "huge": x * 1e30,
        "tiny": x * 1e-38,
        "ramp": torch.arange(x.shape[1]).float().expand_as(x) * x[:, :1].sign(),
    }[kind]
    for found, expected in zip(values_at(x, WINDOWS), sorted_at(x, WINDOWS), strict=True):
        assert torch.equal(found, expected)
    for indices in order_statistic_indices(x, WINDOWS):
        assert all(len(set(row)) == len(row) for row in indices.tolist())


def test_the_sample_misses_an_unfair_row_and_the_sort_steps_in():
    """Every value of the sample is high: it knows nothing of the others."""
    x = torch.rand(2, SHORTEST)
    x[:, :: selection.STRIDE] += 100
    for found, expected in zip(values_at(x, WINDOWS), sorted_at(x, WINDOWS), strict=True):
        assert torch.equal(found, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_only_values_in_the_bracket_are_sorted(dtype, monkeypatch):
    lengths = []
    original = selection._argsort

    def watch(rows):
        lengths.append(rows.shape[-1])
        return original(rows)

    monkeypatch.setattr(selection, "_argsort", watch)
    x = torch.randn(4, 224 * 224, dtype=dtype)
    order_statistic_indices(x, [(2498, 2520), (40129, 40151), (47656, 47678)])
    assert len(lengths) == 3 and max(lengths) < 224 * 224 // 8
