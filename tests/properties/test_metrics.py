"""Measures of maps: in their range, NaN only where the docstring says so, never a plain number
for a map that holds NaN or infinity."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from helpers.inputs import finite, no_warnings, one_sentence, spoiled, tensors, thorough
from sib import metrics
from sib.explain import NORMALIZATIONS, normalize_maps

RANGES = {
    "foreground_energy": (0, 1),
    "background_leakage": (0, 100),
    "pointing_game": (0, 1),
    "top_pixel_iou": (0, 1),
    "relevance_rank_accuracy": (0, 1),
}


@st.composite
def maps(draw, **options):
    """(B, H, W), and a foreground of it."""
    shape = tuple(draw(st.integers(1, size)) for size in (4, 12, 12))
    attribution = draw(tensors(shape, **options))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31 - 1)))
    share = draw(st.sampled_from((0.0, 0.3, 0.9, 1.0)))
    return attribution, torch.rand(shape, generator=generator) < share


def positive_total(attribution):
    return attribution.double().clamp(min=0).flatten(1).sum(dim=1)


@pytest.mark.parametrize("name", RANGES)
@thorough
@given(problem=maps(), factor=st.sampled_from((0.25, 4.0)))
def test_localisation(name, problem, factor):
    attribution, foreground = problem
    measure, (low, high) = getattr(metrics, name), RANGES[name]
    with no_warnings():
        values = measure(attribution, foreground)
    inside = foreground.flatten(1)
    unknown = ~inside.any(dim=1) | (positive_total(attribution) == 0)
    if name == "background_leakage":
        unknown |= inside.all(dim=1)
    assert torch.equal(values.isnan(), unknown)
    known = values[~unknown]
    assert ((known >= low) & (known <= high)).all() and values.dtype is torch.float32
    order = torch.randperm(len(values))
    assert torch.equal(
        measure(attribution[order], foreground[order]).nan_to_num(-1), values[order].nan_to_num(-1)
    )
    wide = attribution.double()  # a power of two changes no ratio
    torch.testing.assert_close(
        measure(wide * factor, foreground), measure(wide, foreground), equal_nan=True
    )


@pytest.mark.parametrize("name", [*RANGES, "gini_sparseness"])
@thorough
@given(data=st.data())
def test_maps_that_are_not_finite_have_no_value(name, data):
    attribution, foreground = data.draw(maps())
    bad = data.draw(spoiled(attribution))
    sparse = name == "gini_sparseness"
    values = metrics.gini_sparseness(bad) if sparse else getattr(metrics, name)(bad, foreground)
    # −∞ counts as no attribution, as every negative value, where magnitudes are not asked for
    wrong = bad.isnan() | (bad == math.inf) | ((bad == -math.inf) & sparse)
    assert values[wrong.flatten(1).any(dim=1)].isnan().all()


@thorough
@given(problem=maps())
def test_sparseness(problem):
    attribution, _ = problem
    with no_warnings():
        values = metrics.gini_sparseness(attribution)
    zero = attribution.double().abs().flatten(1).sum(dim=1) == 0
    assert torch.equal(values.isnan(), zero)
    known = values[~zero]
    assert ((known >= -1e-6) & (known < 1)).all()


@thorough
@given(problem=maps())
def test_rank_correlation(problem):
    attribution, _ = problem
    with no_warnings():
        same, turned = (
            metrics.rank_correlation(attribution, m) for m in (attribution, -attribution)
        )
    rows = attribution.flatten(1)
    constant = (rows == rows[:, :1]).all(dim=1)
    assert torch.equal(same.isnan(), constant)
    torch.testing.assert_close(same[~constant], torch.ones_like(same[~constant]))
    torch.testing.assert_close(turned[~constant], -torch.ones_like(same[~constant]))


@thorough
@given(data=st.data())
def test_rank_correlation_of_maps_that_are_not_finite_has_no_value(data):
    attribution, _ = data.draw(maps())
    bad = data.draw(spoiled(attribution))
    holds_nan = bad.isnan().flatten(1).any(dim=1)
    for pair in ((bad, attribution), (attribution, bad)):
        assert metrics.rank_correlation(*pair)[holds_nan].isnan().all()


@pytest.mark.parametrize("normalize", NORMALIZATIONS)
@thorough
@given(problem=maps())
def test_normalize_maps(normalize, problem):
    attribution, _ = problem
    with no_warnings():
        scaled = normalize_maps(attribution, normalize)
    assert finite(scaled) and scaled.shape == attribution.shape
    assert not (scaled.sign() * attribution.sign() < 0).any()
    if normalize in ("max", "percentile"):
        assert scaled.abs().max() <= 1
        rows = attribution.flatten(1).any(dim=1)
        torch.testing.assert_close(
            scaled.abs().flatten(1).amax(dim=1)[rows].float(), torch.ones(int(rows.sum()))
        )
    if normalize == "sum":
        total = scaled.double().abs().flatten(1).sum(dim=1)
        rows = attribution.flatten(1).any(dim=1)
        torch.testing.assert_close(total, rows.double(), rtol=0, atol=0.02)


@thorough
@given(data=st.data(), normalize=st.sampled_from(NORMALIZATIONS))
def test_normalize_maps_that_are_not_finite_shows_it(data, normalize):
    attribution, _ = data.draw(maps())
    bad = data.draw(spoiled(attribution))
    scaled = normalize_maps(bad, normalize)
    wrong = ~bad.isfinite().flatten(1).all(dim=1)
    rows = (scaled if normalize == "none" else scaled.isnan() / 1).flatten(1)
    assert (~rows.isfinite()).any(dim=1)[wrong].all() if normalize == "none" else rows[wrong].all()


@thorough
@given(
    attribution=st.lists(st.integers(0, 3), max_size=4).map(lambda s: torch.zeros(s)),
    foreground=st.lists(st.integers(0, 3), max_size=4).map(lambda s: torch.zeros(s)),
    dtype=st.sampled_from((torch.bool, torch.float32, torch.int64)),
)
def test_shapes_and_types_that_do_not_fit_give_a_sentence(attribution, foreground, dtype):
    for name in RANGES:
        try:
            values = getattr(metrics, name)(attribution, foreground.to(dtype))
            assert values.shape == attribution.shape[:1]
        except ValueError as error:
            assert one_sentence(error)
    try:
        assert metrics.gini_sparseness(attribution).shape == attribution.shape[:1]
    except ValueError as error:
        assert one_sentence(error)


class Linear(nn.Module):
    """A classifier of three classes of images of any size."""

    def forward(self, images):
        values = images.mean(dim=(1, 2, 3)).clamp(-1e3, 1e3)
        return torch.stack([values, -values, values * 0], dim=1)


@thorough
@given(data=st.data(), baseline=st.sampled_from(("blur", "mean")), steps=st.integers(1, 5))
def test_perturbation(data, baseline, steps):
    attribution, _ = data.draw(maps())
    shape = (len(attribution), 2, *attribution.shape[1:])
    images = data.draw(
        tensors(shape, dtypes=(torch.float32, torch.float64), scales=(1e-6, 1.0, 1e6))
    )
    for measure in (metrics.insertion_area, metrics.deletion_area):
        with no_warnings():
            values = measure(Linear(), images, attribution, baseline=baseline, steps=steps)
        zero = attribution.double().abs().flatten(1).sum(dim=1) == 0
        assert torch.equal(values.isnan(), zero)
        assert ((values[~zero] >= 0) & (values[~zero] <= 1 + 1e-6)).all()
