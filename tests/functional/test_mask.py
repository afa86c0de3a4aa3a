"""The foreground mask: 2 × 2 images by hand, its symmetries, its derivatives and its refusals."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

from helpers import reference
from sib import functional as SF

KINDS = ["density", "hard", "centred", "area"]
SOFT = ["density", "centred", "area"]
seeds = st.integers(0, 2**31 - 1)
quick = settings(max_examples=15, deadline=None)


def draw(seed, *shape):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def counting():
    """g = 0, 1, 2, 3 in reading order: two channels (0, −1.5, −3, 1.5), (0, −.5, −1, 4.5)."""
    return torch.tensor(
        [[[[0.0, -1.5], [-3.0, 1.5]], [[0.0, -0.5], [-1.0, 4.5]]]], dtype=torch.float64
    )


# At temperature 1e-3 the soft quantiles of four values are the values at the nearest ranks:
# Q.05 = 0, Q.95 = 3, so n = 0, ⅓, ⅔, 1; Q.8(n) = ⅔; h = σ(−20/3), σ(−10/3), σ(0), σ(10/3)
# = .00127102, .03444520, .5, .96555480.
# Window 1: d = h, Q.8(d) = .5, M = σ(10(d − .5)).
# Window 2 sees (here, right, below, below right), zero outside, divided by 4:
# d = .37531775, .25, .36638870, .24138870 with Q.8(d) = .36638870.
# Without the padding the divisors are 4, 2, 2, 1: d = .37531775, .5, .73277740, .96555480,
# with Q.8(d) = .73277740.
@pytest.mark.parametrize(
    ("window_size", "count_include_pad", "expected"),
    [
        (1, True, [0.006777880799566596, 0.009419136880864305, 0.5, 0.9905808631191356]),
        (2, True, [0.5223078131162415, 0.23796171263988317, 0.5, 0.22270013882530884]),
        (2, False, [0.02726264980969476, 0.08884870161408019, 0.5, 0.9111512983859198]),
    ],
)
def test_density_by_hand(window_size, count_include_pad, expected):
    mask = SF.foreground_mask(
        counting(), window_size, temperature=1e-3, count_include_pad=count_include_pad
    )
    assert mask.shape == (1, 1, 2, 2)
    assert mask.flatten().tolist() == pytest.approx(expected, rel=1e-6)


# The true Q.8 of n = 0, ⅓, ⅔, 1 (interpolated or not) lies under the last pixel alone.
# Window 1: the density's Q.8 is .4, so the last pixel. Window 2: all four windows reach it,
# all four densities are ¼ and so is their quantile, and every pixel is at least that.
@pytest.mark.parametrize(("window_size", "expected"), [(1, [0, 0, 0, 1]), (2, [1, 1, 1, 1])])
def test_hard_by_hand(window_size, expected):
    mask = SF.foreground_mask(counting(), window_size, kind="hard")
    assert mask.flatten().tolist() == expected


# s = 0, ⅓, ⅔, 1 (the 1e-6 beside the maximum shows in the seventh digit), mean ½:
# σ(−5), σ(−5/3), σ(5/3), σ(5). By symmetry ½ is also the threshold for an area of one half.
@pytest.mark.parametrize(("kind", "tolerance"), [("centred", 1e-9), ("area", 5e-3)])
def test_centred_and_area_by_hand(kind, tolerance):
    mask = SF.foreground_mask(counting(), 1, kind=kind, area=0.5)
    expected = [0.006692862004384722, 0.15886917911963358, 0.8411308208803665, 0.9933071379956152]
    assert mask.flatten().tolist() == pytest.approx(expected, rel=tolerance)


def test_defaults_are_the_published_ones():
    R = draw(0, 2, 3, 40, 36)
    mask = SF.foreground_mask(R)
    spelled = SF.foreground_mask(R, 31, 0.1, 10.0, kind="density", epsilon=1e-8)
    assert torch.equal(mask, spelled)
    reference.assert_near(mask, reference.foreground_mask(R, 31, 0.1, 10.0), 1e-10)


@pytest.mark.parametrize("window_size", [1, 2, 3, 8, 9, 14])
@pytest.mark.parametrize("count_include_pad", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_agrees_with_reference(window_size, count_include_pad, kind):
    R = draw(window_size, 3, 2, 14, 17)
    options = {"kind": kind, "count_include_pad": count_include_pad, "area": 0.3}
    mask = SF.foreground_mask(R, window_size, 0.2, 7.0, **options)
    expected = reference.foreground_mask(R, window_size, 0.2, 7.0, **options)
    assert mask.shape == (3, 1, 14, 17)
    if kind == "hard":
        assert torch.equal(mask, expected)
    else:
        # The threshold of "area" may stop once the mean of the mask is within 1e-4.
        torch.testing.assert_close(mask, expected, rtol=5e-3 if kind == "area" else 1e-9, atol=0)


@quick
@given(seeds, st.floats(0.05, 0.9), st.floats(2, 30))
def test_area_is_met_by_one_threshold_an_image(seed, area, slope):
    R = draw(seed, 3, 2, 12, 12)
    mask = SF.foreground_mask(R, 3, slope=slope, kind="area", area=area)
    assert (mask.mean(dim=(1, 2, 3)) - area).abs().max() <= 1e-4
    g = R.mean(dim=1, keepdim=True).abs()
    s = g / (g.amax(dim=(2, 3), keepdim=True) + 1e-6)
    # Read the threshold off the pixel nearest to ½, where logit is well conditioned.
    pixel = (mask - 0.5).abs().flatten(1).argmin(dim=1, keepdim=True)
    thresholds = s.flatten(1).gather(1, pixel) - mask.flatten(1).gather(1, pixel).logit() / slope
    expected = torch.sigmoid(slope * (s - thresholds[..., None, None]))
    torch.testing.assert_close(mask, expected, rtol=1e-9, atol=0)


def test_area_differentiates_with_the_threshold_held():
    R = draw(5, 2, 2, 6, 6).requires_grad_(True)
    probe = draw(6, 2, 1, 6, 6)
    mask = SF.foreground_mask(R, 3, kind="area", area=0.3)
    (ours,) = torch.autograd.grad((mask * probe).sum(), R)
    g = R.mean(dim=1, keepdim=True).abs()
    s = g / (g.amax(dim=(2, 3), keepdim=True) + 1e-6)
    threshold = (s - torch.logit(mask) / 10).detach().mean(dim=(1, 2, 3), keepdim=True)
    again = torch.sigmoid(10 * (s - threshold))
    (expected,) = torch.autograd.grad((again * probe).sum(), R)
    reference.assert_near(ours, expected, 1e-9)


def test_hard_is_zero_or_one_and_has_no_gradient():
    mask = SF.foreground_mask(draw(7, 2, 3, 16, 16).requires_grad_(True), 5, kind="hard")
    assert not mask.requires_grad
    assert set(mask.unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("check", [gradcheck, gradgradcheck])
@pytest.mark.parametrize("window_size", [2, 3])
def test_density_derivatives(check, window_size):
    R = draw(8, 2, 2, 4, 5).requires_grad_(True)
    assert check(lambda r: SF.foreground_mask(r, window_size), [R])


@pytest.mark.parametrize("check", [gradcheck, gradgradcheck])
def test_density_derivatives_without_the_padding(check):
    R = draw(9, 1, 2, 4, 5).requires_grad_(True)
    assert check(lambda r: SF.foreground_mask(r, 3, count_include_pad=False), [R])


@pytest.mark.parametrize("check", [gradcheck, gradgradcheck])
def test_centred_derivatives(check):
    R = draw(10, 2, 2, 4, 5).requires_grad_(True)
    assert check(lambda r: SF.foreground_mask(r, 3, kind="centred"), [R])


@pytest.mark.parametrize("kind", SOFT)
def test_gradient_agrees_with_reference(kind):
    R = draw(11, 2, 3, 12, 10).requires_grad_(True)
    probe = draw(12, 2, 1, 12, 10)
    ours = SF.foreground_mask(R, 4, kind=kind)
    theirs = reference.foreground_mask(R, 4, kind=kind)
    (gradient,) = torch.autograd.grad((ours * probe).sum(), R)
    (expected,) = torch.autograd.grad((theirs * probe).sum(), R)
    reference.assert_near(gradient, expected, 5e-3 if kind == "area" else 1e-9)


@pytest.mark.parametrize("kind", KINDS)
@quick
@given(seed=seeds)
def test_sees_neither_channel_order_nor_sign(kind, seed):
    R = draw(seed, 2, 3, 9, 8)
    mask = SF.foreground_mask(R, 4, kind=kind)
    for changed in (R[:, [2, 0, 1]], -R):
        again = SF.foreground_mask(changed, 4, kind=kind)
        torch.testing.assert_close(again, mask, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
@quick
@given(seed=seeds)
def test_follows_reflection_and_the_order_of_the_batch(kind, seed):
    R = draw(seed, 3, 2, 9, 8)
    mask = SF.foreground_mask(R, 3, kind=kind)
    for changed, expected in [
        (R.flip(3), mask.flip(3)),
        (R.flip(2), mask.flip(2)),
        (R.transpose(2, 3), mask.transpose(2, 3)),
        (R[[2, 0, 1]], mask[[2, 0, 1]]),
        (R[1:2], mask[1:2]),
    ]:
        again = SF.foreground_mask(changed, 3, kind=kind)
        torch.testing.assert_close(again, expected, rtol=1e-6, atol=1e-9)


@quick
@given(seeds, st.floats(1e-3, 1e6))
def test_ignores_scale_where_epsilon_is_small(seed, scale):
    R = draw(seed, 2, 2, 9, 8)
    mask = SF.foreground_mask(R, 3, epsilon=1e-14)
    torch.testing.assert_close(
        SF.foreground_mask(scale * R, 3, epsilon=1e-14), mask, rtol=1e-6, atol=0
    )


def test_epsilon_flattens_a_small_reconstruction():
    R = 1e-10 * draw(13, 1, 1, 9, 9)
    flat, sharp = SF.foreground_mask(R, 1), SF.foreground_mask(R, 1, epsilon=1e-18)
    assert (flat - 0.5).abs().max() < 0.2 < (sharp - 0.5).abs().max()
    reference.assert_near(flat, reference.foreground_mask(R, 1), 1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_signed_channels_cancel(kind):
    plane = draw(14, 1, 1, 9, 9)
    cancelled = SF.foreground_mask(torch.cat([plane, -plane], dim=1), 3, kind=kind)
    nothing = SF.foreground_mask(torch.zeros_like(plane), 3, kind=kind)
    torch.testing.assert_close(cancelled, nothing, rtol=1e-12, atol=0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [0.0, 1.0, -2.5, 1e-30, 1e30])
def test_constant_reconstruction_is_finite(kind, value):
    R = torch.full((2, 3, 12, 12), value, requires_grad=True)
    mask = SF.foreground_mask(R, 5, kind=kind)
    assert mask.isfinite().all() and mask.min() >= 0 and mask.max() <= 1
    if kind != "hard":
        (gradient,) = torch.autograd.grad((mask * torch.rand(2, 1, 12, 12)).sum(), R)
        assert gradient.isfinite().all()


@pytest.mark.parametrize("kind", SOFT)
def test_tiny_reconstruction_is_finite(kind):
    R = (1e-30 * draw(15, 2, 3, 12, 12)).float().requires_grad_(True)
    mask = SF.foreground_mask(R, 5, kind=kind)
    (gradient,) = torch.autograd.grad((mask * torch.rand(2, 1, 12, 12)).sum(), R)
    assert mask.isfinite().all() and gradient.isfinite().all()


def test_zero_reconstruction_gives_one_half_inside():
    """h = ½ everywhere, d = ½ inside, and Q.8(d) = ½, so M = σ(0)."""
    mask = SF.foreground_mask(torch.zeros(1, 1, 20, 20, dtype=torch.float64), 3)
    assert mask[..., 1:-1, 1:-1].flatten().tolist() == pytest.approx([0.5] * 324, rel=1e-9)
    # The padding counted: a corner's density is 4/9 of the interior's, ½ · 4/9 = 2/9 under ½,
    # and σ(10 (2/9 − ½)) = σ(−25/9) = .05853...
    assert mask[0, 0, 0, 0].item() == pytest.approx(0.05853690280871157, rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(kind, dtype):
    R = draw(16, 2, 3, 12, 12).to(dtype)
    mask = SF.foreground_mask(R, 5, kind=kind)
    assert mask.dtype == torch.float32
    torch.testing.assert_close(mask, SF.foreground_mask(R.float(), 5, kind=kind), rtol=0, atol=0)


def test_window_as_large_as_the_smaller_side_is_allowed():
    assert SF.foreground_mask(draw(17, 1, 1, 7, 9), 7).shape == (1, 1, 7, 9)


@pytest.mark.parametrize("window_size", [8, 0, -3, 3.0, 2.5, "3"])
def test_bad_window_is_refused(window_size):
    with pytest.raises(ValueError, match="window_size"):
        SF.foreground_mask(draw(17, 1, 1, 7, 9), window_size)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", 0.0),
        ("temperature", -1.0),
        ("slope", float("nan")),
        ("kind", "round"),
        ("area", 0.0),
        ("area", 1.0),
    ],
)
def test_bad_option_is_refused(name, value):
    options = {"kind": "area"} if name == "area" else {}
    with pytest.raises(ValueError, match=name):
        SF.foreground_mask(draw(17, 1, 1, 7, 9), 3, **{**options, name: value})


def test_reconstruction_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"\bR\b"):
        SF.foreground_mask(draw(17, 1, 7, 9), 3)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 9.9891e32])
def test_differences_by_rounding_alone_have_a_finite_gradient(scale):
    values = torch.full((2, 1, 1, 5), scale)
    values[1] *= 1 + torch.finfo(values.dtype).eps * torch.tensor([0, 1, 0, 0, 1])
    R = values.requires_grad_()
    mask = SF.foreground_mask(R, 1)
    weighted = mask * torch.arange(5.0)
    (gradient,) = torch.autograd.grad(weighted.sum(), R)
    assert mask.isfinite().all() and gradient.isfinite().all()
