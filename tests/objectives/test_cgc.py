"""Contrastive Grad-CAM consistency: by hand, against a slow formula, and its edges."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import sib
from helpers.nets import batch_norm_net, group_norm_net
from sib.functional.crops import Crops, random_crops
from sib.objectives.cgc import GradCAMConsistency
from sib.objectives.parts import Parts

LAYER = "6"  # of group_norm_net: its last activation


def batch(size=5, side=16):
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(size, 3, side, side, generator=generator, dtype=torch.float64)
    return images, torch.randint(5, (size,), generator=generator)


def gradient(module):
    return torch.cat([p.grad.flatten() for p in module.parameters()])


def test_the_contrast_by_hand():
    """k = (e₁, e₂), q = (e₁, e₁), τ = ½: −log(e²/(e² + 1)) and −log(1/(1 + 1))."""
    found = torch.eye(2, dtype=torch.float64)
    expected = torch.tensor([[1.0, 0], [1, 0]], dtype=torch.float64)
    terms = GradCAMConsistency().terms(Parts({"cgc": (found, expected)}))
    by_hand = (math.log(1 + math.exp(-2)) + math.log(2)) / 2
    assert terms["cgc"].item() == pytest.approx(by_hand, rel=1e-12)


def grad_cam(model, image, target=None):
    features = model[:7](image)
    logits = model[7:](features)
    target = int(logits.argmax()) if target is None else target
    (G,) = torch.autograd.grad(logits[0, target], features, create_graph=True)
    map_ = sum(G[0, c].mean() * features[0, c] for c in range(features.shape[1]))
    return map_.clamp(min=0), target


def cropped(image, crops, b):
    """torch's sampling on a grid; image (C, H, W)."""
    height, width = image.shape[-2:]
    theta = torch.zeros(1, 2, 3, dtype=torch.float64)
    sign = -1 if crops.flipped[b] else 1
    for row, axis, own in ((0, 1, sign), (1, 0, 1)):
        start, size = float(crops.start[b, axis]), float(crops.size[b, axis])
        theta[0, row, row], theta[0, row, 2] = own * size, 2 * start + size - 1
    grid = F.affine_grid(theta, [1, 1, height, width], align_corners=False)
    return F.grid_sample(image[None], grid, padding_mode="border", align_corners=False)[0]


def slow_loss(model, images, crops, temperature):
    found, expected = [], []
    for b in range(len(images)):
        own, target = grad_cam(model, images[b : b + 1])
        seen, _ = grad_cam(model, cropped(images[b], crops, b)[None], target)
        moved = cropped(own[None], crops, b)
        found.append(seen.flatten() / seen.norm())
        expected.append(moved.flatten() / moved.norm())
    total = 0
    for b in range(len(images)):
        own = (found[b] * expected[b]).sum() / temperature
        others = [found[b] @ found[j] / temperature for j in range(len(images)) if j != b]
        total = total - (own.exp() / (own.exp() + sum(other.exp() for other in others))).log()
    return total / len(images)


def crops_of(images, seed):
    torch.manual_seed(seed)
    return random_crops(images)


def test_loss_and_gradient_are_those_of_the_formula():
    images, labels = batch()
    model = group_norm_net().double()
    crops = crops_of(images, 3)
    loss = F.cross_entropy(model(images), labels) + 2 * slow_loss(model, images, crops, 0.3)
    loss.backward()
    task = sib.Task(copy.deepcopy(model), GradCAMConsistency(2.0, 0.3, layer=LAYER))
    task.zero_grad()
    torch.manual_seed(3)
    out = task(images, labels)
    task.backward(out.loss)
    assert out.loss.item() == pytest.approx(loss.item(), rel=1e-10)
    assert (gradient(task) - gradient(model)).norm() < 1e-9 * gradient(model).norm()


def test_the_gradient_is_that_of_finite_differences():
    images, labels = batch(4)
    model = group_norm_net().double()
    torch.manual_seed(0)
    direction = [torch.randn_like(p) for p in model.parameters()]

    def task_at(step):
        moved = copy.deepcopy(model)
        with torch.no_grad():
            for p, d in zip(moved.parameters(), direction, strict=True):
                p += step * d
        torch.manual_seed(3)
        task = sib.Task(moved, GradCAMConsistency(2.0, layer=LAYER))
        return task, task(images, labels).loss

    task, loss = task_at(0)
    task.backward(loss)
    own = zip(task.model.parameters(), direction, strict=True)
    along = sum((p.grad * d).sum() for p, d in own).item()
    step = 1e-6
    measured = (task_at(step)[1] - task_at(-step)[1]).item() / (2 * step)
    assert along == pytest.approx(measured, rel=1e-5)


def test_consistent_maps_of_different_images_have_a_small_loss():
    """Where k_b = q_b and the other maps lie elsewhere, the loss is least."""
    rows = torch.eye(4, dtype=torch.float64)
    objective = GradCAMConsistency(temperature=0.05)
    same = objective.terms(Parts({"cgc": (rows, rows)}))["cgc"]
    others = objective.terms(Parts({"cgc": (rows, rows.roll(1, dims=0))}))["cgc"]
    assert same < 1e-7 and others == pytest.approx(math.log(4))


def test_one_image_has_nothing_to_be_contrasted_with():
    images, labels = batch(1)
    task = sib.Task(group_norm_net().double(), GradCAMConsistency(layer=LAYER))
    with pytest.raises(ValueError, match="cgc needs at least 2 images in a batch"):
        task(images, labels)
    assert task.objective.min_batch == 2


def test_maps_of_zero_have_a_finite_gradient():
    model = group_norm_net().double()
    nn.init.zeros_(model[-1].weight)
    nn.init.zeros_(model[-1].bias)
    task = sib.Task(model, GradCAMConsistency(layer=LAYER))
    images, labels = batch()
    out = task(images, labels)
    task.backward(out.loss)
    assert out.terms.values["cgc"].item() == pytest.approx(math.log(5))
    assert gradient(task).isfinite().all()


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_the_scale_of_the_logits_does_not_count(scale):
    images, labels = (batch()[0].float(), batch()[1])
    model = group_norm_net()
    found = []
    for factor in (1.0, scale):
        own = copy.deepcopy(model)
        with torch.no_grad():
            own[-1].weight.mul_(factor)
            own[-1].bias.mul_(factor)
        torch.manual_seed(3)
        found.append(sib.Task(own, GradCAMConsistency(layer=LAYER))(images, labels).terms)
    assert found[1].values["cgc"].item() == pytest.approx(found[0].values["cgc"].item(), rel=1e-4)


def test_both_passes_update_batch_norm_and_frozen_batch_norm_stays():
    images, labels = (batch()[0].float(), batch()[1])
    for mode, count in (("train", 2), ("frozen", 0)):
        model = batch_norm_net().train()
        task = sib.Task(model, GradCAMConsistency(layer="4"), batch_norm=mode).train()
        task(images, labels)
        assert model[1].num_batches_tracked == count


def test_a_step_takes_twice_the_arithmetic_of_a_plain_one():
    images, labels = (batch()[0].float(), batch()[1])
    counts = []
    for objective in (None, GradCAMConsistency()):
        task = sib.Task(sib.models.build("small_resnet", 5, 16), objective, batch_norm="frozen")
        task(images, labels)  # the first step looks at the network
        with FlopCounterMode(display=False) as counter:
            task.backward(task(images, labels).loss)
        counts.append(counter.get_total_flops())
    assert 1.9 < counts[1] / counts[0] < 2.2


def test_a_frozen_backbone_still_has_maps():
    model = group_norm_net().double()
    for p in model[:7].parameters():
        p.requires_grad_(False)
    task = sib.Task(model, GradCAMConsistency(layer=LAYER))
    out = task(*batch())
    task.backward(out.loss)
    assert model[-1].weight.grad.isfinite().all() and model[0].weight.grad is None


def test_an_image_that_is_cropped_to_itself_has_the_largest_similarity(monkeypatch):
    images, labels = batch()
    whole = Crops(torch.zeros(5, 2), torch.ones(5, 2), torch.zeros(5, dtype=torch.bool))
    monkeypatch.setattr("sib.objectives.cgc.random_crops", lambda images: whole)
    task = sib.Task(group_norm_net().double(), GradCAMConsistency(layer=LAYER))
    _, parts = task.parts(images, labels)
    found, expected = parts.values["cgc"]
    assert torch.allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_micro_batches_have_the_crops_of_the_batch_unless_there_is_dropout(dropout, monkeypatch):
    starts = []

    def recorded(images):
        crops = random_crops(images)
        starts.append(crops.start)
        return crops

    def starts_of(micro_batch):
        starts.clear()
        torch.manual_seed(3)
        sib.accumulate(task, *batch(6), micro_batch)
        return torch.cat(starts)[:6]

    monkeypatch.setattr("sib.objectives.cgc.random_crops", recorded)
    model = nn.Sequential(*group_norm_net()[:7], nn.Dropout(dropout), *group_norm_net()[7:])
    task = sib.Task(model.double(), GradCAMConsistency(layer=LAYER))
    assert torch.equal(starts_of(3), starts_of(6)) == (not dropout)


class TwoOf(nn.Module):
    """A single logit z as two, −z/2 and z/2."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, images):
        z = self.model(images)
        return torch.cat([-z / 2, z / 2], dim=1)


def test_a_single_logit_trains_as_its_two_classes_do():
    images, labels = batch()[0], torch.tensor([0, 1, 1, 0, 1])
    one = group_norm_net(1).double()
    two = TwoOf(copy.deepcopy(one))
    found = []
    for model, layer in ((one, LAYER), (two, f"model.{LAYER}")):
        task = sib.Task(model, GradCAMConsistency(layer=layer))
        torch.manual_seed(3)
        task.backward(task(images, labels).loss)
        found.append(gradient(task))
    assert torch.allclose(*found, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight": -1}, "weight must be a finite number of at least 0; got -1"),
        ({"temperature": 0}, "temperature must be a finite number above 0; got 0"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        GradCAMConsistency(**options)


def test_a_last_stage_of_one_place_is_refused():
    task = sib.Task(batch_norm_net().double(), GradCAMConsistency(layer="5"))
    with pytest.raises(ValueError, match="the last stage has one place, so its maps are all alike"):
        task(*batch())
