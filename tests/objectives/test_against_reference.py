"""The whole objective against the slow reference: values, and gradients over all parameters."""

import math

import pytest
import torch
import torch.nn.functional as F

import sib
from helpers import reference

# (seed, height, width, window, batch, channels, head's scale)
CASES = [
    (0, 24, 24, 7, 8, 1, 1.0),
    (1, 24, 30, 8, 4, 3, 5.0),
    (2, 32, 32, 31, 2, 3, 1.0),
    (3, 40, 28, 12, 6, 1, 20.0),
    (4, 48, 48, 15, 5, 3, 5.0),
    (5, 64, 64, 20, 3, 3, 1.0),
    (6, 64, 50, 31, 2, 1, 5.0),
    (7, 96, 96, 31, 2, 3, 5.0),
    (8, 96, 72, 30, 2, 1, 1.0),
]


def problem(case):
    seed, height, width, _, size, channels, scale = case
    torch.manual_seed(seed)
    net = reference.small_net(channels, head_scale=scale)
    images = torch.randn(size, channels, height, width, dtype=torch.float64, requires_grad=True)
    return net, images, torch.randint(3, (size,))


def library(net, images, window_size, **options):
    objective = sib.SpatialIB(window_size=window_size, **options)
    with sib.second_order():
        logits = net(images)
    return logits, objective(logits, images)


def slow(net, images, window_size, estimator="biased"):
    """Logits, R, mask, foreground and background by the reference."""
    logits = net(images)
    R = reference.reconstruct(logits, images)
    mask = reference.foreground_mask(R, window_size)
    foreground = reference.foreground_alignment(R, images, mask, estimator=estimator)
    return logits, R, mask, foreground, reference.background_variance(R, mask)


def gradient(value, net):
    return torch.autograd.grad(value, list(net.parameters()), retain_graph=True)


def assert_same_gradient(ours, theirs, net):
    names = [name for name, _ in net.named_parameters()]
    pairs = zip(names, gradient(ours, net), gradient(theirs, net), strict=True)
    for name, a, b in pairs:
        assert b.abs().max() > 0, name
        assert (a - b).abs().max() <= 1e-4 * b.abs().max(), name


@pytest.mark.parametrize("case", CASES, ids=str)
def test_values_and_gradients(case):
    net, images, labels = problem(case)
    # The weights are chosen so that neither term is lost beside the other or cross-entropy:
    # each gradient of a term alone is compared too.
    logits, terms = library(net, images, case[3], foreground_weight=2.0, background_weight=1e8)
    plain, R, mask, foreground, background = slow(net, images, case[3])
    loss = reference.spatial_ib_loss(foreground, background, 2.0, 1e8)

    total = F.cross_entropy(logits, labels) + terms.loss
    reference.assert_near(terms.reconstruction, R, 1e-6)
    torch.testing.assert_close(terms.mask, mask, rtol=1e-6, atol=0)
    for ours, theirs in (
        (terms.foreground, foreground),
        (terms.background, background),
        (terms.loss, loss),
        (total, reference.cross_entropy(plain, labels) + loss),
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=0)
        assert_same_gradient(ours, theirs, net)


@pytest.mark.parametrize("case", CASES[:5], ids=str)
def test_published_weights(case):
    net, images, labels = problem(case)
    logits, terms = library(net, images, case[3])
    plain, _, _, foreground, background = slow(net, images, case[3])
    loss = reference.spatial_ib_loss(foreground, background, 0.01, 1000.0)
    torch.testing.assert_close(terms.loss, loss, rtol=1e-6, atol=0)
    assert_same_gradient(terms.loss, loss, net)
    ours = F.cross_entropy(logits, labels) + terms.loss
    assert_same_gradient(ours, reference.cross_entropy(plain, labels) + loss, net)


@pytest.mark.parametrize("case", CASES[:5], ids=str)
@pytest.mark.parametrize("weights", [(0.01, 1000.0), (3.0, 1e6)])
def test_exp_form(case, weights):
    """The published form's gradient; its value without the constant λ_fg + λ_bg."""
    net, images, _ = problem(case)
    options = {"foreground_weight": weights[0], "background_weight": weights[1]}
    _, terms = library(net, images, case[3], form="exp", **options)
    _, _, _, foreground, background = slow(net, images, case[3])
    published = reference.spatial_ib_loss(foreground, background, *weights, form="exp")
    assert_same_gradient(terms.loss, published, net)
    exact = weights[0] * math.expm1(-foreground.item()) + weights[1] * math.expm1(background.item())
    assert terms.loss.item() == pytest.approx(exact, rel=1e-6)
    assert terms.loss.item() == pytest.approx(published.item() - sum(weights), abs=1e-8)


def test_exp_form_loses_nothing_in_float32():
    """A variance far under float32's resolution of 1 still shows in the loss and its gradient."""
    torch.manual_seed(0)
    net = reference.small_net(3, head_scale=0.3, dtype=torch.float32)
    images = torch.randn(4, 3, 32, 32, requires_grad=True)
    _, terms = library(net, images, 9, foreground_weight=0.0, form="exp")
    background = terms.background.item()
    assert 0 < background < 1e-8
    assert terms.loss.item() == pytest.approx(1000 * math.expm1(background), rel=1e-5)


@pytest.mark.parametrize("case", [CASES[0], CASES[1], CASES[4]], ids=str)
def test_unbiased_estimator(case):
    net, images, _ = problem(case)
    _, terms = library(net, images, case[3], estimator="unbiased")
    _, _, _, foreground, _ = slow(net, images, case[3], "unbiased")
    torch.testing.assert_close(terms.foreground, foreground, rtol=1e-6, atol=0)
    assert_same_gradient(terms.foreground, foreground, net)


def test_zero_weights_leave_zero():
    net, images, _ = problem(CASES[0])
    _, terms = library(net, images, 7, foreground_weight=0.0, background_weight=0.0)
    assert terms.loss.item() == 0
    assert all(g.abs().max() == 0 for g in gradient(terms.loss, net))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("form", ["linear", "exp"])
@pytest.mark.filterwarnings("ignore:.*exactly zero")
def test_a_zero_head_has_a_finite_gradient(dtype, form):
    torch.manual_seed(0)
    net = reference.small_net(3, head_scale=0.0, dtype=dtype)
    images = torch.randn(4, 3, 24, 24, dtype=dtype, requires_grad=True)
    _, terms = library(net, images, 7, form=form)
    assert terms.reconstruction.abs().max() == 0 and terms.mask.isfinite().all()
    assert terms.loss.item() == 0
    assert all(g.isfinite().all() for g in gradient(terms.loss, net))


def test_a_single_image_is_refused():
    net, images, _ = problem(CASES[0])
    with pytest.raises(ValueError, match=r"batch.*\b1\b"):
        library(net.eval(), images[:1].detach().requires_grad_(True), 7)


def test_a_window_larger_than_the_images_is_refused():
    net, images, _ = problem(CASES[0])
    with pytest.raises(ValueError, match="window_size"):
        library(net, images, 25)


def test_an_unknown_form_is_refused():
    with pytest.raises(ValueError, match="form"):
        sib.SpatialIB(form="cubic")
