"""R, the VJP of an image: a hand value, derivatives of every order, dtypes and refusals."""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from helpers import reference
from sib import functional as SF


def leaf(*values, shape):
    return torch.tensor(values, dtype=torch.float64).reshape(shape).requires_grad_(True)


def smooth_problem(seed=0):
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        tensor = torch.randn(*shape, generator=generator, dtype=torch.float64)
        return tensor.requires_grad_(True)

    return draw(2, 2, 2, 3), draw(4, 12), draw(5, 3)


def test_probabilities_by_hand():
    """Logits (x, 0), p = σ(x): ∂/∂x ½(p² + (1−p)²) = (2p − 1) p (1 − p).

    x = ln 3: p = 3/4, so ½ · 3/16 = 3/32. x = 0: p = ½, so 0. Each image by itself.
    """
    images = leaf(1.0986122886681098, 7.0, 0.0, 7.0, shape=(2, 1, 1, 2))
    first = images[:, 0, 0, :1]
    R = SF.reconstruct(torch.cat([first, torch.zeros_like(first)], dim=1), images)
    expected = torch.tensor([0.09375, 0.0, 0.0, 0.0], dtype=torch.float64).reshape(2, 1, 1, 2)
    torch.testing.assert_close(R, expected, rtol=1e-12, atol=1e-15)


def test_logits_by_hand():
    """Logits (2x + y, 5x − 3y): the summed logits 7x − 2y have the gradient (7, −2)."""
    images = leaf(0.3, -1.0, 2.0, 4.0, shape=(2, 1, 1, 2))
    weight = torch.tensor([[2.0, 1.0], [5.0, -3.0]], dtype=torch.float64)
    R = SF.reconstruct(images.flatten(1) @ weight.T, images, cotangent="logits")
    assert R.flatten().tolist() == pytest.approx([7.0, -2.0, 7.0, -2.0], rel=1e-12)


@pytest.mark.parametrize("cotangent", ["probabilities", "logits", "margin"])
def test_agrees_with_reference(cotangent):
    images, weight, head = smooth_problem()
    logits = reference.smooth_net(images, weight, head)
    R = SF.reconstruct(logits, images, cotangent=cotangent)
    expected = reference.reconstruct(logits, images, cotangent)
    reference.assert_near(R, expected, 1e-12)
    probe = torch.randn_like(R)
    for ours, theirs in zip(
        torch.autograd.grad((R * probe).sum(), [images, weight, head], retain_graph=True),
        torch.autograd.grad((expected * probe).sum(), [images, weight, head]),
        strict=True,
    ):
        reference.assert_near(ours, theirs, 1e-10)


@pytest.mark.parametrize("check", [gradcheck, gradgradcheck])
@pytest.mark.parametrize("cotangent", ["probabilities", "logits", "margin"])
def test_derivatives(check, cotangent):
    def function(images, weight, head):
        logits = reference.smooth_net(images, weight, head)
        return SF.reconstruct(logits, images, cotangent=cotangent)

    assert check(function, smooth_problem())


def test_create_graph_decides_whether_r_can_be_differentiated():
    images, weight, head = smooth_problem()
    kept = SF.reconstruct(reference.smooth_net(images, weight, head), images)
    dropped = SF.reconstruct(reference.smooth_net(images, weight, head), images, False)
    assert kept.requires_grad and not dropped.requires_grad
    assert images.grad is None and weight.grad is None
    reference.assert_near(dropped, kept, 1e-12)


def test_images_of_a_batch_do_not_mix_without_batch_norm():
    images, weight, head = smooth_problem()
    together = SF.reconstruct(reference.smooth_net(images, weight, head), images)
    alone = images[:1].detach().requires_grad_(True)
    R = SF.reconstruct(reference.smooth_net(alone, weight, head), alone)
    reference.assert_near(R, together[:1], 1e-12)


@pytest.mark.parametrize("flat", [0.0, 1000.0], ids=["uniform", "one-hot"])
def test_r_vanishes_where_the_prediction_is_uniform_or_one_hot(flat):
    images, weight, head = smooth_problem()
    logits = reference.smooth_net(images, weight, head * 0)
    logits = logits + flat * torch.eye(3, dtype=torch.float64)[0]
    R = SF.reconstruct(logits, images)
    assert R.abs().max() == 0
    assert all(g.isfinite().all() for g in torch.autograd.grad(R.sum(), [weight, head]))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("scale", [1e-2, 1e-4])
def test_half_precision_is_scaled_and_given_back_as_float32(dtype, scale):
    """With weights near 1e-4 R is near 1e-9, a fiftieth of float16's smallest number."""
    generator = torch.Generator().manual_seed(0)
    half = torch.randn(2, 1, 4, 4, generator=generator).to(dtype).requires_grad_(True)
    weight = (scale * torch.randn(3, 16, generator=generator)).to(dtype)
    R = SF.reconstruct(half.flatten(1) @ weight.T, half)
    exact = half.detach().double().requires_grad_(True)
    expected = reference.reconstruct(exact.flatten(1) @ weight.double().T, exact)
    assert R.dtype == torch.float32
    reference.assert_near(R, expected, 0.02)


def test_unknown_cotangent_is_refused():
    images, weight, head = smooth_problem()
    logits = reference.smooth_net(images, weight, head)
    with pytest.raises(ValueError, match="cotangent"):
        SF.reconstruct(logits, images, cotangent="labels")


def test_the_margin_of_two_classes_is_their_difference():
    images = torch.tensor([[1.0, 2.0], [3.0, 1.0]]).reshape(2, 1, 1, 2).requires_grad_()
    weight = torch.tensor([[1.0, 0.0], [0.0, 100.0]])
    R = SF.reconstruct(images.flatten(1) @ weight.T, images, cotangent="margin")
    assert R.flatten(1).tolist() == [[-1.0, 100.0], [-1.0, 100.0]]


def test_images_outside_the_graph_are_refused():
    images, weight, head = smooth_problem()
    constant = images.detach()
    with pytest.raises(ValueError, match="images"):
        SF.reconstruct(reference.smooth_net(constant, weight, head), constant)


def test_images_that_the_logits_do_not_depend_on_are_refused():
    images, weight, head = smooth_problem()
    logits = reference.smooth_net(images, weight, head)
    other = images.detach().clone().requires_grad_(True)
    with pytest.raises(ValueError, match="images"):
        SF.reconstruct(logits, other)


def test_logits_of_another_shape_are_refused():
    images, weight, head = smooth_problem()
    logits = reference.smooth_net(images, weight, head)
    with pytest.raises(ValueError, match="logits"):
        SF.reconstruct(logits.sum(dim=1), images)
