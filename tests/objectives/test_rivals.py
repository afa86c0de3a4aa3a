"""The rivals: hand-made values, the formula in float64, parts of batches, bad input."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import sib
from helpers.nets import group_norm_net, small_vit
from sib.objectives.energy import EnergyLoss
from sib.objectives.registry import METHODS, load_objective
from sib.objectives.right_reasons import RightReasons
from sib.objectives.saliency_guided import SaliencyGuided, masked_images

LAYER = "6"  # of group_norm_net: its last activation


def batch(size=6, side=16):
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(size, 3, side, side, generator=generator, dtype=torch.float64)
    foreground = torch.zeros(size, 1, side, side, dtype=torch.bool)
    foreground[1:, :, 3:9, 4:12] = True  # the first image is not annotated
    return images, torch.randint(5, (size,), generator=generator), foreground


def gradient(module):
    return torch.cat([p.grad.flatten() for p in module.parameters()])


RIVALS = [name for name in METHODS if name not in ("sib", "ce")]


def own(task):
    """The name of the only term."""
    return task.objective.names[0]


class Weights(nn.Module):
    """logits = Σ over pixels and channels of weight ∘ image, for images of 1 × 2 pixels."""

    def __init__(self, *rows):
        super().__init__()
        self.rows = nn.Parameter(torch.tensor(rows, dtype=torch.float64))

    def forward(self, images):
        return images.flatten(1) @ self.rows.T


def pixels(*values):
    return torch.tensor(values, dtype=torch.float64).reshape(1, 1, 1, -1)


def test_right_reasons_by_hand():
    """∂/∂x Σ_k log p_k = Σ_k w_k − K Σ_k p_k w_k; at x = 0 all p are 1/2, so it is 0 …"""
    task = sib.Task(Weights([3.0, 1.0], [-1.0, 5.0]), RightReasons(10.0))
    known = torch.tensor([True, False]).reshape(1, 1, 1, 2)
    labels = torch.tensor([0])
    at_zero = task(pixels(0.0, 0.0), labels, known)
    assert at_zero.weighted_terms["right_reasons"].item() == 0
    # … and at x = (0, ln 3 / 4) the odds are 1 : 3: (2, 6) − 2 (1/4 (3, 1) + 3/4 (−1, 5)) = (2, −2)
    out = task(pixels(0.0, torch.tensor(3.0).log() / 4), labels, known)
    assert out.weighted_terms["right_reasons"].item() == pytest.approx(10 * (-2) ** 2)
    assert out.loss == out.cross_entropy + out.weighted_terms["right_reasons"]


def test_energy_by_hand():
    """A = x ∘ w_y = (2, 6): one quarter inside."""
    task = sib.Task(Weights([1.0, 2.0], [0.0, 0.0]), EnergyLoss(2.0, "input"))
    known = torch.tensor([True, False]).reshape(1, 1, 1, 2)
    out = task(pixels(2.0, 3.0), torch.tensor([0]), known)
    assert out.weighted_terms["energy"].item() == pytest.approx(2 * 0.75)
    # negative attribution does not count: A = (−2, 6)
    out = task(pixels(-2.0, 3.0), torch.tensor([0]), known)
    assert out.weighted_terms["energy"].item() == pytest.approx(2 * 1.0)


def test_the_least_important_pixels_are_drawn_anew():
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(2, 3, 4, 4, generator=generator)
    gradient = torch.rand(2, 3, 4, 4, generator=generator)
    torch.manual_seed(0)
    found = masked_images(images, gradient, 0.5)
    changed = (found != images).any(dim=1)
    importance = gradient.mean(dim=1)
    assert changed.flatten(1).sum(dim=1).tolist() == [8, 8]
    for kept, value in zip(~changed, importance, strict=True):
        assert value[kept].min() > value[~kept].max()
    low, high = images.amin(dim=(2, 3), keepdim=True), images.amax(dim=(2, 3), keepdim=True)
    assert ((found >= low) & (found <= high)).all()


def test_the_sign_of_the_gradient_does_not_count():
    images, gradient = torch.rand(1, 1, 1, 4), torch.tensor([[[[-9.0, 1.0, -2.0, 8.0]]]])
    found = masked_images(images, gradient, 0.5)
    assert (found != images).flatten().tolist() == [False, True, True, False]


def right_reasons(model, images, labels, foreground):
    total = 0
    for b in range(1, len(images)):
        image = images[b : b + 1].clone().requires_grad_()
        output = model(image).softmax(1).log().sum()
        (R,) = torch.autograd.grad(output, image, create_graph=True)
        total = total + (R[0][:, ~foreground[b, 0]] ** 2).sum()
    return total / len(images)


def energy_at_input(model, images, labels, foreground):
    total = 0
    for b in range(1, len(images)):
        image = images[b : b + 1].clone().requires_grad_()
        (R,) = torch.autograd.grad(model(image)[0, labels[b]], image, create_graph=True)
        A = (R * image)[0].sum(0).clamp(min=0)
        total = total + 1 - A[foreground[b, 0]].sum() / A.sum()
    return total / len(images)


def energy_at_last_stage(model, images, labels, foreground):
    total = 0
    for b in range(1, len(images)):
        features = model[:7](images[b : b + 1])
        score = model[7:](features)[0, labels[b]]
        (G,) = torch.autograd.grad(score, features, create_graph=True)
        A = (G * features)[0].sum(0).clamp(min=0)
        inside = F.avg_pool2d(foreground[b].double(), 2)[0]
        total = total + 1 - (A * inside).sum() / A.sum()
    return total / len(images)


CASES = {
    "rrr": (lambda: RightReasons(3.0), right_reasons),
    "energy at the input": (lambda: EnergyLoss(3.0, "input"), energy_at_input),
    "energy": (lambda: EnergyLoss(3.0, layer=LAYER), energy_at_last_stage),
}


@pytest.mark.parametrize("case", CASES)
def test_loss_and_gradient_are_those_of_the_formula(case):
    make, formula = CASES[case]
    images, labels, foreground = batch()
    model = group_norm_net().double()
    loss = F.cross_entropy(model(images), labels) + 3 * formula(model, images, labels, foreground)
    loss.backward()
    expected = gradient(model)
    task = sib.Task(copy.deepcopy(model), make())
    task.zero_grad()
    out = task(images, labels, foreground)
    task.backward(out.loss)
    assert out.loss.item() == pytest.approx(loss.item(), rel=1e-10)
    assert (gradient(task) - expected).norm() < 1e-9 * expected.norm()
    assert out.terms.mask is None and out.diagnostics == {}


def test_saliency_guided_loss_and_gradient_are_those_of_the_formula():
    images, labels, _ = batch()
    model = group_norm_net().double()
    leaf = images.clone().requires_grad_()
    chosen = sum(model(leaf)[b, labels[b]] for b in range(len(images)))
    (saliency,) = torch.autograd.grad(chosen, leaf)
    torch.manual_seed(3)
    masked = masked_images(images, saliency, 0.3)
    p, q = model(images).softmax(1), model(masked).softmax(1)
    divergence = (p * (p / q).log()).sum() / len(images)
    loss = F.cross_entropy(model(images), labels) + 2 * divergence
    loss.backward()
    expected = gradient(model)
    task = sib.Task(copy.deepcopy(model), SaliencyGuided(2.0, 0.3))
    task.zero_grad()
    torch.manual_seed(3)
    out = task(images, labels)
    task.backward(out.loss)
    assert out.loss.item() == pytest.approx(loss.item(), rel=1e-10)
    assert (gradient(task) - expected).norm() < 1e-9 * expected.norm()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("micro_batch", [1, 4])
def test_micro_batches_give_the_gradient_of_the_batch(case, micro_batch):
    task = sib.Task(group_norm_net().double(), CASES[case][0]())
    images, labels, foreground = batch()
    out = task(images, labels, foreground)
    task.backward(out.loss)
    expected = gradient(task)
    task.zero_grad()
    found = sib.accumulate(task, images, labels, micro_batch, foreground=foreground)
    assert torch.allclose(gradient(task), expected, rtol=1e-9, atol=1e-12)
    assert found.loss.item() == pytest.approx(out.loss.item())
    assert found.weighted_terms[own(task)].item() == pytest.approx(
        out.weighted_terms[own(task)].item()
    )


@pytest.mark.parametrize("name", RIVALS)
def test_an_image_without_annotation_or_evidence_has_a_finite_gradient(name):
    model = small_vit().double()
    nn.init.zeros_(model.heads.head.weight)
    task = sib.Task(model, load_objective(name)())
    images, labels, foreground = batch()
    out = task(images, labels, torch.zeros_like(foreground))
    task.backward(out.loss)
    assert gradient(task).isfinite().all()
    if task.objective.needs_foreground:
        assert out.weighted_terms[own(task)].item() == 0


@pytest.mark.parametrize("name", RIVALS)
def test_a_vision_transformer_is_trained(name):
    task = sib.Task(small_vit().double(), load_objective(name)(1.0))
    images, labels, foreground = batch()
    out = task(images, labels, foreground)
    task.backward(out.loss)
    assert out.weighted_terms[own(task)] > 0 and gradient(task).isfinite().all()


@pytest.mark.parametrize("name", ["rrr", "energy"])
def test_a_foreground_that_is_missing_or_of_another_shape_is_refused(name):
    task = sib.Task(group_norm_net().double(), load_objective(name)())
    images, labels, foreground = batch()
    with pytest.raises(ValueError, match=r"foreground must be given: .* needs annotation"):
        task(images, labels)
    with pytest.raises(ValueError, match=r"foreground must be bool .* of shape \(6, 1, 16, 16\)"):
        task(images, labels, foreground[:, 0])


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: RightReasons(-1.0), "weight must be a finite number of at least 0"),
        (lambda: SaliencyGuided(1.0, 1.0), "masked_share must lie between 0 and 1"),
        (lambda: EnergyLoss(1.0, "middle"), "at must be one of final, input; got 'middle'"),
    ],
)
def test_arguments_out_of_range_are_refused(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()


def test_a_loss_without_gradients_is_refused():
    images, labels, foreground = batch()
    with torch.no_grad(), pytest.raises(ValueError, match=r"outside torch\.no_grad"):
        sib.Task(group_norm_net().double(), RightReasons())(images, labels, foreground)
