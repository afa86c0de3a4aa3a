"""Public functions of sib.functional: finite or a sentence, whatever finite input they get.

Promises about scale, checked below: inputs whose own arithmetic cannot overflow in float32
(|v| up to 1e18 where squares are taken) give finite values; beyond that only what says so does.
"""

import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from helpers.inputs import (
    DTYPES,
    finite,
    masks,
    no_warnings,
    one_sentence,
    shapes,
    spoiled,
    tensors,
    thorough,
)
from sib import functional as SF
from sib.functional.reconstruction import COTANGENTS

MASK_KINDS = ("density", "hard", "centred", "area")
TEMPERATURES = (1e-6, 0.1, 1.0, 100.0)


@st.composite
def problems(draw, smallest_batch=1, smallest_side=1, **options):
    """R, images and a mask of one shape."""
    shape = draw(shapes(smallest_batch, smallest_side))
    return draw(tensors(shape, **options)), draw(tensors(shape, **options)), draw(masks(shape))


def gradient_of(result, *inputs):
    return torch.autograd.grad(result.double().sum(), inputs, allow_unused=True)


@thorough
@given(data=st.data())
def test_soft_quantile(data):
    shape = tuple(data.draw(st.lists(st.integers(1, 12), min_size=1, max_size=3)))
    values = data.draw(tensors(shape)).requires_grad_()
    dim, q = data.draw(st.integers(-len(shape), len(shape) - 1)), data.draw(st.floats(0, 1))
    temperature = data.draw(st.sampled_from(TEMPERATURES))
    with no_warnings():
        result = SF.soft_quantile(values, q, dim, temperature)
        (gradient,) = gradient_of(result, values)
    assert finite(result) and finite(gradient)
    wide = values.detach().to(result.dtype)
    low, high = wide.amin(dim, keepdim=True), wide.amax(dim, keepdim=True)
    slack = 1e-5 * torch.maximum(low.abs(), high.abs())
    assert ((result >= low - slack) & (result <= high + slack)).all()


@thorough
@given(data=st.data())
def test_foreground_mask(data):
    shape = data.draw(shapes())
    R = data.draw(tensors(shape)).requires_grad_()
    kind = data.draw(st.sampled_from(MASK_KINDS))
    options = {
        "window_size": data.draw(st.integers(1, min(shape[2:]))),
        "temperature": data.draw(st.sampled_from(TEMPERATURES)),
        "slope": data.draw(st.sampled_from((0.1, 10.0, 1000.0))),
        "count_include_pad": data.draw(st.booleans()),
        "area": data.draw(st.floats(0.01, 0.99)),
    }
    with no_warnings():
        mask = SF.foreground_mask(R, kind=kind, **options)
    assert mask.shape == (shape[0], 1, *shape[2:]) and finite(mask)
    assert ((mask >= 0) & (mask <= 1)).all()
    if kind != "hard":
        with no_warnings():
            (gradient,) = gradient_of(mask, R)
        assert finite(gradient) or R.dtype is torch.float16  # steeper than float16 can hold


@thorough
@given(data=st.data())
def test_foreground_mask_of_values_that_are_not_finite_shows_it(data):
    R = data.draw(tensors(data.draw(shapes(smallest_side=2))).flatmap(spoiled))
    kind = data.draw(st.sampled_from(("density", "centred", "area")))
    bad = ~R.isfinite().flatten(1).all(dim=1)
    mask = SF.foreground_mask(R, window_size=2, kind=kind)
    assert mask[bad].isnan().flatten(1).any(dim=1).all()
    assert finite(mask[~bad])


@thorough
@given(data=st.data())
def test_hsic(data):
    estimator = data.draw(st.sampled_from(("biased", "unbiased")))
    batch = data.draw(st.integers(1, 7))
    scales = {"scales": (1e-30, 1e-12, 1e-6, 1.0, 1e6)}  # a product of four values
    sizes = [data.draw(st.integers(1, 9)) for _ in range(2)]
    z1, z2 = (data.draw(tensors((batch, size), **scales)).requires_grad_() for size in sizes)
    if batch < {"biased": 2, "unbiased": 4}[estimator]:
        try:
            SF.hsic(z1, z2, estimator)
        except ValueError as error:
            assert one_sentence(error)
            return
        raise AssertionError("a batch too small was accepted")
    with no_warnings():
        result = SF.hsic(z1, z2, estimator)
        gradients = gradient_of(result, z1, z2)
    assert finite(result)
    largest = max(z1.detach().abs().max().item(), z2.detach().abs().max().item())
    if all(z.dtype in (torch.float32, torch.float64) for z in (z1, z2)) or largest < 1e3:
        assert all(finite(gradient) for gradient in gradients)
    order = torch.randperm(batch)
    again = SF.hsic(z1[order], z2[order], estimator)
    size = (z1.detach().double().square().sum() * z2.detach().double().square().sum()).item()
    assert abs(again.item() - result.item()) <= 1e-4 * size


ALIGNMENT_OPTIONS = st.one_of(
    st.just({}),
    st.just({"projection_dim": 3}),
    st.just({"estimator": "unbiased"}),
    st.just({"kind": "ssim"}),
)


@thorough
@given(data=st.data(), options=ALIGNMENT_OPTIONS, background=st.booleans())
def test_alignment_and_dependence(data, options, background):
    ssim = "kind" in options
    R, images, mask = data.draw(problems(1, 11 if ssim else 1))
    R.requires_grad_()
    mask.requires_grad_()
    background = background and not ssim
    function = SF.background_dependence if background else SF.foreground_alignment
    try:
        with no_warnings():
            result = function(R, images, mask, **options)
            gradients = gradient_of(result, R, mask)
    except ValueError as error:
        assert one_sentence(error) and R.shape[0] < 4
        return
    assert finite(result)
    assert result.dtype in (torch.float32, torch.float64)
    if R.dtype in (torch.float32, torch.float64):
        assert all(g is None or finite(g) for g in gradients)
    if not ssim and "estimator" not in options and "projection_dim" not in options:
        assert -1e-3 <= result.item() <= (R.shape[0] / (R.shape[0] - 1)) ** 2 + 1e-3


@thorough
@given(data=st.data())
def test_background_terms(data):
    R, _, mask = data.draw(problems())
    R.requires_grad_()
    mask.requires_grad_()
    for function in (SF.background_variance, SF.background_magnitude):
        try:
            with no_warnings():
                result = function(R, mask)
        except ValueError as error:
            assert one_sentence(error) and R[0].numel() == 1
            continue
        largest = R.detach().abs().max().item()
        if function is SF.background_magnitude or largest < 1e16 or R.dtype is torch.float64:
            assert finite(result) and result.item() >= 0
            gradients = gradient_of(result, R, mask)
            # the mask's is of float32, R's may be of a half precision
            assert all(finite(g) for g in gradients) or largest > 1e16 or R.dtype in DTYPES[2:]
        else:  # squares beyond float32: infinite, never a finite number that is wrong
            assert finite(result) or result.item() == float("inf")


@thorough
@given(data=st.data())
def test_terms_of_values_that_are_not_finite_show_it(data):
    R, images, mask = data.draw(
        problems(4, 2, dtypes=DTYPES[:2], fills=("normal",), scales=(1e-6, 1.0, 1e3))
    )
    mask = mask.clamp(0.1, 0.9)
    bad = data.draw(spoiled(R))
    assert not finite(SF.background_variance(bad, mask))
    assert not finite(SF.background_magnitude(bad, mask))
    for options in ({}, {"estimator": "unbiased"}, {"projection_dim": 2}):
        assert not finite(SF.foreground_alignment(bad, images, mask, **options))
        assert not finite(SF.foreground_alignment(images, bad, mask, **options))
        assert not finite(SF.background_dependence(bad, images, mask, **options))


@thorough
@given(data=st.data())
def test_reconstruct(data):
    shape = data.draw(shapes())
    images = data.draw(tensors(shape)).requires_grad_()
    classes = data.draw(st.integers(1, 6))
    weight = data.draw(tensors((shape[1] * shape[2] * shape[3], classes), dtypes=(images.dtype,)))
    logits = images.flatten(1) @ weight
    assume(finite(logits))
    cotangent = data.draw(st.sampled_from(COTANGENTS))
    assume(classes > 1 or cotangent != "margin")
    with no_warnings():
        R = SF.reconstruct(logits, images, cotangent=cotangent)
    assert R.shape == images.shape and R.dtype in (torch.float32, torch.float64)
    # the product with the weights is the model's own, in its own precision
    largest = weight.detach().double().abs().max().item() * classes * 2**12
    if largest < torch.finfo(images.dtype).max:
        assert finite(R)


@thorough
@given(
    dim=st.integers(-2, 9),
    size=st.integers(-2, 9),
    dtype=st.sampled_from((None, torch.float32, torch.float64)),
)
def test_random_projection(dim, size, dtype):
    try:
        matrix = SF.random_projection(dim, size, dtype=dtype)
    except ValueError as error:
        assert one_sentence(error) and min(dim, size) < 1
        return
    assert matrix.shape == (dim, size) and finite(matrix)


# Symmetries, in float64 so that only the mathematics is compared.
float64 = {"dtypes": (torch.float64,), "fills": ("normal",), "scales": (1e-6, 1e-3, 1.0)}


@thorough
@given(data=st.data())
def test_the_order_of_the_batch_does_not_matter(data):
    R, images, mask = data.draw(problems(4, 3, **float64))
    order = torch.randperm(len(R))
    kind = data.draw(st.sampled_from(MASK_KINDS))
    found, moved = (SF.foreground_mask(r, 3, kind=kind) for r in (R, R[order]))
    torch.testing.assert_close(found[order], moved, rtol=1e-9, atol=1e-12)
    for function in (
        SF.foreground_alignment,
        SF.background_dependence,
        lambda r, _, m: SF.background_variance(r, m),
        lambda r, _, m: SF.background_magnitude(r, m),
    ):
        one, other = function(R, images, mask), function(R[order], images[order], mask[order])
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-15)


@thorough
@given(data=st.data())
def test_the_order_of_the_channels_does_not_matter(data):
    R, images, mask = data.draw(problems(4, 3, **float64))
    order = torch.randperm(R.shape[1])
    one, other = SF.foreground_mask(R, 3), SF.foreground_mask(R[:, order], 3)
    torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)
    for function in (
        SF.foreground_alignment,
        SF.background_dependence,
        lambda r, _, m: SF.background_variance(r, m),
    ):
        one, other = function(R, images, mask), function(R[:, order], images[:, order], mask)
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-15)


@thorough
@given(data=st.data(), factor=st.sampled_from((1e-30, 1e-9, 3.0, 1e9, 1e30)))
def test_scales_of_R(data, factor):
    """Alignment does not see R's scale; the variance grows with its square; magnitude with it."""
    R, images, mask = data.draw(problems(4, 3, **float64))
    mask = mask.double()
    one = SF.foreground_alignment(R, images, mask)
    torch.testing.assert_close(SF.foreground_alignment(R * factor, images, mask), one)
    torch.testing.assert_close(SF.foreground_alignment(R, images * factor, mask), one)
    variance, magnitude = SF.background_variance(R, mask), SF.background_magnitude(R, mask)
    # the square of 1e-6 · 1e-30 is still a float64
    torch.testing.assert_close(
        SF.background_variance(R * factor, mask), variance * factor**2, rtol=1e-6, atol=0
    )
    torch.testing.assert_close(
        SF.background_magnitude(R * factor, mask), magnitude * factor, rtol=1e-6, atol=0
    )
