"""SpatialIB and SpatialIBTask around tiny models: finite, or a sentence."""

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn

import sib
from helpers.inputs import finite, no_warnings, one_sentence, shapes, spoiled, tensors, thorough
from sib.functional.reconstruction import COTANGENTS


def linear(channels, height, width, classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * height * width, classes))


def convolution(channels, height, width, classes):
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3, padding=1),
        nn.Softplus(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, classes),
    )


OPTIONS = {
    "window_size": st.integers(1, 6),
    "temperature": st.sampled_from((1e-6, 0.1, 10.0)),
    "slope": st.sampled_from((0.1, 10.0, 100.0)),
    "projection_dim": st.sampled_from((None, 1, 4)),
    "form": st.sampled_from(("linear", "exp")),
    "cotangent": st.sampled_from(COTANGENTS),
    "mask": st.sampled_from(("density", "hard", "centred", "area")),
    "alignment": st.sampled_from(("hsic", "hsic", "ssim")),
    "background": st.sampled_from(("variance", "hsic", "magnitude")),
    "estimator": st.sampled_from(("biased", "unbiased")),
    "count_include_pad": st.booleans(),
}


@st.composite
def steps(draw, scales=(1e-30, 1e-12, 1e-3, 1.0, 1e3, 1e6, 1e12, 1e30), weights=(1e-3, 1.0)):
    """A task, images and labels of one step."""
    shape, classes = draw(shapes()), draw(st.integers(1, 4))
    images = draw(tensors(shape, dtypes=(torch.float32, torch.float64), scales=scales))
    model = draw(st.sampled_from((linear, convolution)))(*shape[1:], classes).to(images.dtype)
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31 - 1)))
    labels = torch.randint(classes, shape[:1], generator=generator)
    options = draw(st.fixed_dictionaries({}, optional=OPTIONS))
    for parameter in model.parameters():
        parameter.data *= draw(st.sampled_from(weights))
    return sib.SpatialIBTask(model, sib.SpatialIB(**options)), images, labels, options


def gradients(task):
    return [p.grad for p in task.parameters() if p.grad is not None]


@pytest.mark.filterwarnings("ignore:the reconstruction R is exactly zero")
@thorough
@given(step=steps())
def test_a_step_is_finite_or_refused(step):
    task, images, labels, _ = step
    try:
        out = task(images, labels)
    except ValueError as error:
        assert one_sentence(error)
        return
    terms = (*out.terms.values.values(), out.terms.mask, out.terms.reconstruction)
    assert all(finite(value) for value in (out.loss, out.logits, *terms))
    task.backward(out.loss)
    assert all(finite(gradient) for gradient in gradients(task))
    assert not images.requires_grad and images.grad is None


@thorough
@given(data=st.data())
def test_images_that_are_not_finite_are_refused(data):
    task, images, labels, _ = data.draw(steps())
    with pytest.raises(ValueError, match="images must be finite"):
        task(data.draw(spoiled(images)), labels)


@pytest.mark.filterwarnings("ignore:the reconstruction R is exactly zero")
@thorough
@given(data=st.data())
def test_unchecked_images_that_are_not_finite_show_in_the_loss(data):
    task, images, labels, _ = data.draw(steps())
    task.validate = False
    try:
        out = task(data.draw(spoiled(images)), labels)
    except ValueError as error:
        assert one_sentence(error)
        return
    assert not finite(out.loss) or labels.unique().numel() == out.logits.shape[1] == 1


@thorough
@given(data=st.data(), label=st.sampled_from((-100, -1, 4, 2**40)))
def test_labels_out_of_range_are_refused(data, label):
    task, images, labels, _ = data.draw(steps())
    labels[0] = label
    with pytest.raises(ValueError, match="labels must lie in") as refused:
        task(images, labels)
    assert one_sentence(refused.value)


@thorough
@given(
    options=st.fixed_dictionaries(
        {},
        optional={
            name: st.one_of(st.floats(), st.integers(-3, 3), st.just("x"), st.none(), st.booleans())
            for name in (*OPTIONS, "foreground_weight", "background_weight", "area", "epsilon")
        },
    )
)
def test_options_are_taken_or_refused_in_a_sentence(options):
    try:
        sib.SpatialIB(**options)
    except ValueError as error:
        assert one_sentence(error)


@thorough
@given(data=st.data())
def test_the_order_of_the_batch_does_not_matter(data):
    task, images, labels, options = data.draw(steps(scales=(1.0,), weights=(1.0,)))
    assume("projection_dim" not in options)
    order = torch.randperm(len(images))
    try:
        with no_warnings():
            one, other = task(images, labels).loss, task(images[order], labels[order]).loss
    except (ValueError, UserWarning):
        assume(False)
    torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)
