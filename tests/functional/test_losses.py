"""Foreground alignment and the background terms: hand values, invariances, degenerate inputs."""

import functools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

from helpers import reference
from sib import functional as SF

seeds = st.integers(0, 2**31 - 1)
quick = settings(max_examples=20, deadline=None)


def draw(seed, *shape):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def problem(seed, size=5, channels=2, side=4):
    """R, images and a mask strictly between 0 and 1."""
    R, images = draw(seed, size, channels, side, side), draw(seed + 1, size, channels, side, side)
    return R, images, torch.sigmoid(draw(seed + 2, size, 1, side, side))


def rows(*values):
    return torch.tensor(values, dtype=torch.float64)[:, None, None, :]


ALIGNMENT = {
    "biased": SF.foreground_alignment,
    "unbiased": functools.partial(SF.foreground_alignment, estimator="unbiased"),
    "ssim": functools.partial(SF.foreground_alignment, kind="ssim"),
}
# Every term as a function of (R, images, mask).
TERMS = {
    **ALIGNMENT,
    "variance": lambda R, images, mask: SF.background_variance(R, mask),
    "magnitude": lambda R, images, mask: SF.background_magnitude(R, mask),
    "dependence": SF.background_dependence,
}


# M = 1: unit rows of R (.6, .8), (1, 0), so K = [[1, .6], [.6, 1]]; of x (0, 1), (1, 0), so L = I.
# Centring a 2 × 2 matrix leaves (k11 + k22 − 2 k12)/4 · [[1, −1], [−1, 1]]: .2 and .5 of it,
# whose product summed is 4 · .2 · .5 = .4; (B − 1)² = 1.
# With the second pixel masked out both unit rows of R are (1, 0): centring leaves nothing.
@pytest.mark.parametrize(("mask", "expected"), [([1.0, 1.0], 0.4), ([1.0, 0.0], 0.0)])
def test_alignment_by_hand(mask, expected):
    R, images = rows([3.0, 4.0], [5.0, 0.0]), rows([0.0, 2.0], [1.0, 0.0])
    result = SF.foreground_alignment(R, images, rows(mask, mask))
    assert result.shape == ()
    assert result.item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_background_dependence_by_hand():
    """The same numbers, doubled by a mask of one half under the rest: unit rows do not change."""
    R, images = rows([3.0, 4.0], [5.0, 0.0]), rows([0.0, 2.0], [1.0, 0.0])
    for value, expected in ((0.0, 0.4), (0.5, 0.4)):
        result = SF.background_dependence(R, images, torch.full_like(R, value))
        assert result.shape == ()
        assert result.item() == pytest.approx(expected, rel=1e-9)


def test_variance_by_hand():
    """M = 0: (1, 3) has variance 2; first pixel masked: (0, 3) has 9/2; the mean is 13/4."""
    R, mask = rows([1.0, 3.0], [1.0, 3.0]), rows([0.0, 0.0], [1.0, 0.0])
    result = SF.background_variance(R, mask)
    assert result.shape == ()
    assert result.item() == pytest.approx(3.25, rel=1e-12)


def test_variance_runs_over_channels_and_pixels_together():
    """Two channels (1, 1), (3, 3): mean 2, squares 4, over n − 1 = 3."""
    R = torch.tensor([[[[1.0, 1.0]], [[3.0, 3.0]]]], dtype=torch.float64)
    mask = torch.zeros(1, 1, 1, 2, dtype=torch.float64)
    assert SF.background_variance(R, mask).item() == pytest.approx(4 / 3, rel=1e-12)


def test_magnitude_by_hand():
    """|1| · ½ + |−3| · 1 = 3.5 over two pixels."""
    result = SF.background_magnitude(rows([1.0, -3.0]), rows([0.5, 0.0]))
    assert result.shape == ()
    assert result.item() == pytest.approx(1.75, rel=1e-12)


@quick
@given(seed=seeds, size=st.integers(4, 8), channels=st.sampled_from([1, 3]))
def test_agrees_with_reference(seed, size, channels):
    R, images, mask = problem(seed, size, channels, 6)
    for name, expected in {
        "biased": reference.foreground_alignment(R, images, mask),
        "unbiased": reference.foreground_alignment(R, images, mask, estimator="unbiased"),
        "dependence": reference.background_dependence(R, images, mask),
        "variance": reference.background_variance(R, mask),
        "magnitude": reference.background_magnitude(R, mask),
    }.items():
        result = TERMS[name](R, images, mask)
        torch.testing.assert_close(result, expected, rtol=1e-9, atol=1e-12, msg=name)


def test_background_dependence_takes_the_unbiased_estimator():
    R, images, mask = problem(0)
    result = SF.background_dependence(R, images, mask, estimator="unbiased")
    expected = reference.background_dependence(R, images, mask, "unbiased")
    reference.assert_near(result, expected, 1e-9)


def test_projection_is_one_matrix_for_both_sides():
    R, images, mask = problem(1)
    projection = SF.random_projection(
        32, 6, generator=torch.Generator().manual_seed(7), dtype=torch.float64
    )
    result = SF.foreground_alignment(R, images, mask, 6, generator=torch.Generator().manual_seed(7))
    expected = reference.foreground_alignment(R, images, mask, projection)
    reference.assert_near(result, expected, 1e-9)
    assert result != SF.foreground_alignment(R, images, mask)


def test_wide_projection_hardly_changes_the_alignment():
    """Inner products of 20 000 random directions are good to about 1/sqrt(20 000) = .7 %."""
    R, images, mask = problem(2)
    generator = torch.Generator().manual_seed(0)
    projected = SF.foreground_alignment(R, images, mask, 20_000, generator=generator)
    reference.assert_near(projected, SF.foreground_alignment(R, images, mask), 0.03)


@pytest.mark.parametrize("check", [gradcheck, gradgradcheck])
@pytest.mark.parametrize("name", ["biased", "unbiased", "variance", "magnitude", "dependence"])
def test_derivatives_by_reconstruction_and_mask(check, name):
    R, images, mask = problem(3, size=4, channels=2, side=2)
    inputs = [R.requires_grad_(True), mask.requires_grad_(True)]
    assert check(lambda R, mask: TERMS[name](R, images, mask), inputs)


@pytest.mark.parametrize("check", [gradcheck, gradgradcheck])
@pytest.mark.parametrize("name", ["biased", "unbiased", "dependence"])
def test_derivatives_by_images(check, name):
    R, images, mask = problem(3, size=4, channels=2, side=2)
    R.requires_grad_(True)  # so that the value has a gradient even where the images are held
    inputs = [R, images.requires_grad_(True)]
    assert check(lambda R, images: TERMS[name](R, images, mask), inputs)


@pytest.mark.parametrize("check", [gradcheck, gradgradcheck])
def test_derivatives_of_ssim(check):
    R, images, mask = problem(4, size=2, channels=1, side=12)
    inputs = [R.requires_grad_(True), mask.requires_grad_(True)]
    assert check(lambda R, mask: ALIGNMENT["ssim"](R, images, mask), inputs, fast_mode=True)


@pytest.mark.parametrize("check", [gradcheck, gradgradcheck])
def test_derivatives_of_ssim_by_images(check):
    R, images, mask = problem(4, size=2, channels=1, side=12)
    inputs = [R.requires_grad_(True), images.requires_grad_(True)]
    assert check(lambda R, images: ALIGNMENT["ssim"](R, images, mask), inputs, fast_mode=True)


@pytest.mark.parametrize("check", [gradcheck, gradgradcheck])
def test_derivatives_with_a_projection(check):
    R, images, mask = problem(5, 4, 1, 2)

    def function(R, mask):
        generator = torch.Generator().manual_seed(5)
        return SF.foreground_alignment(R, images, mask, 3, generator=generator)

    assert check(function, [R.requires_grad_(True), mask.requires_grad_(True)])


@pytest.mark.parametrize("name", ["biased", "unbiased", "dependence"])
@pytest.mark.parametrize("scale", [1e-20, 1e-10, 1e-3, 1e3, 1e10])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dependence_ignores_the_scale_of_r(name, scale, dtype):
    R, images, mask = (t.to(dtype) for t in problem(6, size=6))
    expected = TERMS[name](R, images, mask)
    tolerance = 1e-4 if dtype == torch.float32 else 1e-9
    for result in (TERMS[name](scale * R, images, mask), TERMS[name](R, scale * images, mask)):
        reference.assert_near(result.double(), expected.double(), tolerance)


@pytest.mark.parametrize("name", ["biased", "unbiased", "dependence"])
def test_dependence_ignores_sign_and_shuffled_pixels(name):
    """It is no spatial match: any fixed order of R's unmasked pixels gives the same value."""
    R, images, _ = problem(7)
    order = torch.randperm(16, generator=torch.Generator().manual_seed(0))
    mask = torch.full((5, 1, 4, 4), 0.3, dtype=torch.float64)
    shuffled = R.flatten(2)[..., order].reshape(R.shape)
    expected = TERMS[name](R, images, mask)
    for changed in (-R, shuffled):
        reference.assert_near(TERMS[name](changed, images, mask), expected, 1e-9)


@pytest.mark.parametrize("name", list(TERMS))
@quick
@given(seed=seeds)
def test_terms_ignore_the_order_of_the_batch(name, seed):
    inputs = problem(seed, size=5, side=12)
    order = torch.randperm(5, generator=torch.Generator().manual_seed(seed))
    result = TERMS[name](*(t[order] for t in inputs))
    torch.testing.assert_close(result, TERMS[name](*inputs), rtol=1e-9, atol=1e-12)


@quick
@given(seeds, st.floats(1e-6, 1e6))
def test_variance_grows_with_the_square_and_magnitude_with_the_scale(seed, scale):
    R, _, mask = problem(seed)
    reference.assert_near(
        SF.background_variance(scale * R, mask), scale**2 * SF.background_variance(R, mask), 1e-9
    )
    reference.assert_near(
        SF.background_magnitude(-scale * R, mask), scale * SF.background_magnitude(R, mask), 1e-9
    )


def test_the_background_terms_do_not_see_the_foreground():
    R, images, _ = problem(8)
    mask = (torch.arange(16) < 6).double().reshape(1, 1, 4, 4).expand(5, 1, 4, 4)
    changed = R + 5 * mask * draw(9, 5, 2, 4, 4)
    for name in ("variance", "magnitude", "dependence"):
        reference.assert_near(
            TERMS[name](changed, images, mask), TERMS[name](R, images, mask), 1e-9
        )
    for name in ("biased", "unbiased"):
        outside = R + 5 * (1 - mask) * draw(9, 5, 2, 4, 4)
        reference.assert_near(
            TERMS[name](outside, images, mask), TERMS[name](R, images, mask), 1e-9
        )


@pytest.mark.parametrize(("name", "side"), [("biased", 4), ("unbiased", 4), ("ssim", 16)])
def test_alignment_is_larger_for_the_image_than_for_noise(name, side):
    R, images, mask = problem(10, size=8, channels=1, side=side)
    assert ALIGNMENT[name](images, images, mask) > ALIGNMENT[name](R, images, mask) + 0.01


@pytest.mark.parametrize("name", list(TERMS))
@pytest.mark.parametrize("R", ["zero", "constant", "tiny", "tiny constant"])
def test_degenerate_reconstructions_have_finite_gradients(name, R):
    _, images, _ = problem(11, size=5, channels=3, side=12)
    R = {
        "zero": torch.zeros(5, 3, 12, 12),
        "constant": torch.full((5, 3, 12, 12), 0.7),
        "tiny": 1e-30 * draw(12, 5, 3, 12, 12).float(),
        "tiny constant": torch.full((5, 3, 12, 12), 1e-30),
    }[R].requires_grad_(True)
    images = images.float()
    for mask in (SF.foreground_mask(R, 5), torch.zeros(5, 1, 12, 12), torch.ones(5, 1, 12, 12)):
        result = TERMS[name](R, images, mask)
        (gradient,) = torch.autograd.grad(result, R)
        assert result.isfinite() and gradient.isfinite().all()


@pytest.mark.parametrize("name", ["biased", "dependence"])
def test_a_zero_reconstruction_of_two_opposite_images_has_a_finite_gradient(name):
    R = torch.zeros(2, 1, 1, 1, requires_grad=True)
    images = torch.tensor([1.0, -1.0]).view(2, 1, 1, 1)
    result = 4 * TERMS[name](R, images, torch.full((2, 1, 1, 1), 0.5))
    (gradient,) = torch.autograd.grad(result, R)
    assert result == 0 and gradient.eq(0).all()


@pytest.mark.parametrize("name", ["biased", "unbiased", "variance", "magnitude", "dependence"])
def test_a_zero_reconstruction_carries_nothing(name):
    R, images, mask = problem(13)
    assert TERMS[name](0 * R, images, mask).item() == 0


@pytest.mark.parametrize("name", list(TERMS))
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(name, dtype):
    inputs = [t.to(dtype) for t in problem(14, size=5, side=12)]
    result = TERMS[name](*inputs)
    assert result.dtype == torch.float32
    again = TERMS[name](*(t.float() for t in inputs))
    torch.testing.assert_close(result, again, rtol=0, atol=0)


@pytest.mark.parametrize(("name", "size"), [("biased", 1), ("unbiased", 3), ("dependence", 1)])
def test_too_small_a_batch_is_refused(name, size):
    with pytest.raises(ValueError, match=rf"batch.*\b{size}\b"):
        TERMS[name](*problem(15, size=size))


@pytest.mark.parametrize("projection_dim", [0, -1, 2.5])
def test_bad_projection_dim_is_refused(projection_dim):
    with pytest.raises(ValueError, match="projection_dim"):
        SF.foreground_alignment(*problem(16), projection_dim)


@pytest.mark.parametrize("name", ["kind", "estimator"])
def test_unknown_choice_is_refused(name):
    with pytest.raises(ValueError, match=name):
        SF.foreground_alignment(*problem(16), **{name: "best"})


@pytest.mark.parametrize("name", list(TERMS))
def test_mask_of_another_shape_is_refused(name):
    R, images, mask = problem(17, side=12)
    with pytest.raises(ValueError, match="mask"):
        TERMS[name](R, images, mask[..., :-1])


@pytest.mark.parametrize("name", ["biased", "ssim", "dependence"])
def test_images_of_another_shape_are_refused(name):
    R, images, mask = problem(17, side=12)
    with pytest.raises(ValueError, match="images"):
        TERMS[name](R, images[..., :-1], mask)


@pytest.mark.parametrize("name", ["variance", "magnitude"])
def test_reconstruction_of_another_shape_is_refused(name):
    R, images, mask = problem(17)
    with pytest.raises(ValueError, match=r"\bR\b"):
        TERMS[name](R[0], images, mask)


def test_a_single_value_has_no_variance():
    with pytest.raises(
        ValueError, match=r"R must have at least 2 values per image; got \(3, 1, 1, 1\)"
    ):
        SF.background_variance(torch.ones(3, 1, 1, 1), torch.ones(3, 1, 1, 1))


def test_ssim_of_a_constant_image_has_a_finite_gradient():
    pattern = 1e-12 * torch.arange(121.0).view(1, 1, 11, 11).sin()
    mask = torch.ones(1, 1, 11, 11, requires_grad=True)
    result = SF.foreground_alignment(pattern, torch.full_like(mask, 1e30), mask, kind="ssim")
    (gradient,) = torch.autograd.grad(result, mask)
    assert result.isfinite() and gradient.isfinite().all()
