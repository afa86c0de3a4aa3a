"""Shares of the background: hand-computed values, scale, the zero map, both derivatives."""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from sib.functional.shares import (
    background_share,
    downsample,
    energy,
    positive_attribution,
    upsample,
)


def maps(*values):
    return torch.tensor(values, dtype=torch.float64).reshape(1, 1, 2, 2)


def test_the_share_is_that_of_the_places_outside():
    values, mask = maps(1, 2, 3, 4), maps(1, 0, 0.5, 1)
    assert background_share(values, mask).item() == pytest.approx((2 + 1.5) / 10)


def test_the_energy_is_the_sum_of_squares_over_channels_up_to_a_factor():
    R = torch.tensor([[1.0, -2.0], [3.0, 0.0]]).reshape(1, 2, 1, 2)
    expected = torch.tensor([10.0, 4.0]).reshape(1, 1, 1, 2)
    assert torch.allclose(energy(R) * 9, expected)


def test_the_evidence_is_what_speaks_for_the_decision():
    features = torch.tensor([[1.0, 2.0], [4.0, 1.0]]).reshape(1, 2, 1, 2)
    gradient = torch.tensor([[2.0, -1.0], [0.5, 1.0]]).reshape(1, 2, 1, 2)
    found = positive_attribution(features, gradient) * 4 * 2  # the largest |F| and the largest |G|
    assert torch.allclose(found, torch.tensor([4.0, 1.0]).reshape(1, 1, 1, 2))


def test_a_map_is_enlarged_between_the_middles_of_its_places():
    found = upsample(torch.tensor([0.0, 4.0]).reshape(1, 1, 1, 2), torch.zeros(1, 3, 1, 4))
    assert found.flatten().tolist() == [0.0, 1.0, 3.0, 4.0]


def test_a_mask_is_pooled_to_the_area_of_each_place():
    mask = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert downsample(mask, torch.zeros(1, 7, 2, 2)).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_no_number_is_not_hidden(bad):
    R = torch.ones(2, 3, 4, 4)
    R[0, 0, 0, 0] = bad
    share = background_share(energy(R), torch.rand(2, 1, 4, 4))
    assert share[0].isnan() and share[1].isfinite()


@pytest.mark.parametrize("scale", [1e-30, 1e-6, 1.0, 1e30])
def test_no_scale_changes_the_share(scale):
    generator = torch.Generator().manual_seed(0)
    R, mask = torch.randn(3, 3, 5, 5, generator=generator), torch.rand(3, 1, 5, 5)
    expected = background_share(energy(R), mask)
    found = background_share(energy(scale * R), mask)
    assert torch.allclose(found, expected, rtol=1e-5)


def test_making_the_map_smaller_wins_nothing():
    """The gradient has no component along the map itself: Σ v ∂ρ/∂v = 0."""
    generator = torch.Generator().manual_seed(0)
    values = torch.rand(2, 1, 4, 4, generator=generator, dtype=torch.float64).requires_grad_()
    mask = torch.rand(2, 1, 4, 4, generator=generator, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(background_share(values, mask).sum(), values)
    assert gradient.norm() > 0.01
    assert (gradient * values).sum(dim=(1, 2, 3)).abs().max() < 1e-15


def test_a_zero_map_has_the_share_of_an_even_one_and_no_gradient():
    R = torch.zeros(1, 3, 2, 2, requires_grad=True)
    share = background_share(energy(R), torch.tensor([1.0, 0.5, 0, 0]).reshape(1, 1, 2, 2))
    assert share.item() == pytest.approx(0.625)
    (gradient,) = torch.autograd.grad(share.sum(), R)
    assert torch.equal(gradient, torch.zeros_like(R))


def test_both_derivatives_are_right():
    generator = torch.Generator().manual_seed(0)
    R, G = (torch.randn(2, 2, 3, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    mask = torch.rand(2, 1, 3, 3, generator=generator, dtype=torch.float64)

    def of_image(direction):
        # the largest value, which only scales, is held: it is detached in the function too
        return background_share(energy(R + 0.1 * direction * (R.abs() < 1)), mask)

    def of_layer(direction):
        return background_share(positive_attribution(R, G + 0.1 * direction * (G.abs() < 1)), mask)

    start = torch.zeros_like(R).requires_grad_()
    for function in (of_image, of_layer):
        assert gradcheck(function, start)
        assert gradgradcheck(function, start)
