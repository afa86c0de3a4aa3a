"""Several labels an image, and a single logit, against slow references in float64."""

import math

import pytest
import torch
from torch import nn
from torch.autograd import gradcheck, gradgradcheck

from sib.functional.decision import decision_vjp
from sib.functional.label_kinds import MULTI, SINGLE, kind_of, set_label_kind
from sib.functional.reconstruction import reconstruct


def sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z))


def slow_outputs(row: list[float]) -> tuple[float, float]:
    """The two scalars of one image, label by label, without torch."""
    squares = sum(sigmoid(z) ** 2 + (1 - sigmoid(z)) ** 2 for z in row) / 2
    return squares, -math.log(sum(math.exp(-abs(z)) for z in row))


def slow_cotangents(row: list[float], step: float = 1e-6) -> tuple[list[float], list[float]]:
    """Central differences of both with respect to each logit."""
    found: tuple[list[float], list[float]] = ([], [])
    for place in range(len(row)):
        up = [z + step * (place == k) for k, z in enumerate(row)]
        down = [z - step * (place == k) for k, z in enumerate(row)]
        for own, high, low in zip(found, slow_outputs(up), slow_outputs(down), strict=True):
            own.append((high - low) / (2 * step))
    return found


@pytest.fixture
def linear():
    torch.manual_seed(0)
    weight = torch.randn(12, 4, dtype=torch.float64)
    images = torch.randn(3, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    return weight, images, images.flatten(1) @ weight


@pytest.mark.parametrize("cotangent", ["probabilities", "margin"])
def test_r_of_several_labels_is_that_of_a_slow_reference(linear, cotangent):
    weight, images, logits = linear
    R = reconstruct(logits, images, cotangent=cotangent, label_kind="multi")
    rows = [slow_cotangents(row) for row in logits.tolist()]
    slow = torch.tensor([row[cotangent == "margin"] for row in rows], dtype=torch.float64)
    torch.testing.assert_close(R, (slow @ weight.T).view_as(R), rtol=1e-6, atol=1e-8)


def test_values_by_hand():
    logits = torch.tensor([[0.0, math.log(3)]])
    # p = 1/2 and 3/4: half of 1/4 + 1/4 + 9/16 + 1/16
    assert MULTI.half_squares(logits).item() == pytest.approx(9 / 16)
    # odds of the two changes: 1 and 1/3
    assert MULTI.margin(logits).item() == pytest.approx(-math.log(4 / 3))
    assert MULTI.decided(logits).tolist() == [[False, True]]
    assert MULTI.half_squares_cotangent(logits)[0].tolist() == pytest.approx([0, 3 / 32])


@pytest.mark.parametrize("label_kind", ["single", "multi"])
@pytest.mark.parametrize("cotangent", ["probabilities", "margin"])
@pytest.mark.parametrize("outputs", [1, 3])
def test_r_can_be_differentiated_twice(label_kind, cotangent, outputs):
    torch.manual_seed(1)
    weight = torch.randn(8, outputs, dtype=torch.float64, requires_grad=True)
    images = torch.randn(2, 2, 2, 2, dtype=torch.float64)

    def r_of(weight):
        inputs = images.clone().requires_grad_()
        logits = inputs.flatten(1).tanh() @ weight
        return reconstruct(logits, inputs, cotangent=cotangent, label_kind=label_kind)

    assert gradcheck(r_of, (weight,))
    assert gradgradcheck(r_of, (weight,))


@pytest.mark.parametrize("cotangent", ["probabilities", "margin"])
def test_a_single_logit_is_the_softmax_of_two_and_one_label(cotangent):
    torch.manual_seed(2)
    images = torch.randn(4, 1, 2, 2, dtype=torch.float64, requires_grad=True)
    z = images.flatten(1).sin().sum(dim=1, keepdim=True)
    two = torch.cat([torch.zeros_like(z), z], dim=1)
    expected = reconstruct(two, images, cotangent=cotangent)
    for label_kind in ("single", "multi"):
        found = reconstruct(z, images, cotangent=cotangent, label_kind=label_kind)
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("kind", [SINGLE, MULTI])
def test_decision_vjp_is_r_up_to_a_factor_for_each_image(linear, kind):
    _, images, logits = linear
    R = reconstruct(logits, images, label_kind=kind.name)
    found = decision_vjp(logits, images, kind=kind)
    cosine = (R * found).flatten(1).sum(1) / (
        R.flatten(1).norm(dim=1) * found.flatten(1).norm(dim=1)
    )
    torch.testing.assert_close(cosine, torch.ones_like(cosine))


def test_r_of_labels_vanishes_where_they_are_undecided_or_certain():
    for value in (0.0, 60.0, -60.0):
        images = torch.ones(1, 1, 1, 1, requires_grad=True)
        logits = value * images.flatten(1).expand(1, 3) if value else 0 * images.flatten(1)
        assert reconstruct(logits, images, label_kind="multi").abs().max() < 1e-20


def test_a_label_that_is_certainly_absent_does_not_count_in_the_margin():
    logits = torch.tensor([[1.0] + [-40.0] * 100], requires_grad=True)
    (gradient,) = torch.autograd.grad(MULTI.margin(logits).sum(), logits)
    assert gradient[0, 0] > 0.999
    assert gradient.abs().sum().item() == pytest.approx(1)


def test_the_divergence_is_that_of_every_label():
    logits, other = torch.tensor([[0.3, -1.0]]), torch.tensor([[1.2, 0.4]])
    slow = 0.0
    for z, w in zip(logits[0].tolist(), other[0].tolist(), strict=True):
        for p, q in ((sigmoid(z), sigmoid(w)), (sigmoid(-z), sigmoid(-w))):
            slow += p * math.log(p / q)
    assert MULTI.divergence(logits, other).item() == pytest.approx(slow, rel=1e-5)


def test_a_model_says_what_its_outputs_mean():
    model = nn.Linear(2, 2)
    assert kind_of(model) is SINGLE
    assert kind_of(set_label_kind(model, "multi")) is MULTI
    with pytest.raises(ValueError, match="kind must be one of single, multi"):
        set_label_kind(model, "several")
