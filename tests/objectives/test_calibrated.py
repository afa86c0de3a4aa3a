"""The calibrated objective against its formula, in every way a loop can use it."""

import copy
import pickle

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import sib
from helpers.calibrated import LAYER, batch, by_the_formula, gradient, staged_net
from helpers.nets import group_norm_net, small_vit
from sib.explain import cam_layer
from sib.models import build, features
from sib.models.stages import finer_stages
from sib.objectives.calibrated import CalibratedSpatialIB


@pytest.mark.parametrize(
    "weights", [(0.3, 1.0, 0.7), (1.0, 0.0, 0.0), (0.0, 2.0, 0.0), (0.0, 0.0, 2.0)]
)
def test_loss_and_gradient_are_those_of_the_formula(weights):
    torch.manual_seed(0)
    model = staged_net().double()
    images, labels = batch()
    loss = F.cross_entropy(model(images), labels) + by_the_formula(model, images, *weights)
    loss.backward()
    expected = gradient(model)
    task = sib.SpatialIBTask(
        copy.deepcopy(model), CalibratedSpatialIB(*weights, balance=False, layer="4")
    )
    task.zero_grad()
    out = task(images, labels)
    task.backward(out.loss)
    assert out.loss.item() == pytest.approx(loss.item(), rel=1e-6)
    assert (gradient(task) - expected).norm() < 1e-6 * expected.norm()
    assert out.terms.loss == sum(out.terms.weighted.values())
    assert 0 < out.terms.foreground < 1 and 0 < out.terms.background < 1


def test_the_stages_are_looked_for_once_for_a_size_of_image(monkeypatch):
    calls = []

    def count(*arguments, **options):
        calls.append(arguments)
        return finer_stages(*arguments, **options)

    monkeypatch.setattr(features, "finer_stages", count)
    task = sib.SpatialIBTask(staged_net().double(), sib.SpatialIB.calibrated(layer="4"))
    for size, side in ((2, 16), (3, 16), (2, 32)):
        task(*batch(size, side))
    assert len(calls) == 2


def test_a_plain_loop_gives_the_loss_of_the_task():
    model, (images, labels) = group_norm_net().double(), batch()
    task = sib.SpatialIBTask(model, sib.SpatialIB.calibrated(layer=LAYER))
    expected = task(images, labels).loss
    objective = sib.SpatialIB.calibrated(layer=LAYER)
    images.requires_grad_(True)
    with sib.second_order(), objective.capture_features(model, images):
        logits = model(images)
    cross_entropy = F.cross_entropy(logits, labels)
    terms = objective(logits, images, cross_entropy=cross_entropy)
    assert torch.allclose(cross_entropy + terms.loss, expected, rtol=1e-12)


@pytest.mark.parametrize("make", [staged_net, small_vit])
def test_a_task_can_be_copied_and_pickled_after_a_step(make):
    layer = "4" if make is staged_net else None
    task = sib.SpatialIBTask(make().double(), sib.SpatialIB.calibrated(layer=layer))
    images, labels = batch()
    expected = task(images, labels).loss
    for other in (copy.deepcopy(task), pickle.loads(pickle.dumps(task))):
        assert torch.equal(other(images, labels).loss, expected)


def test_logits_from_outside_of_the_recording_are_refused():
    model, (images, _) = group_norm_net().double(), batch()
    objective = sib.SpatialIB.calibrated(layer=LAYER)
    with pytest.raises(
        ValueError, match=r"inside `with objective.capture_features\(model, images\):`"
    ):
        objective.eval()(model(images.requires_grad_()), images)


TORTURE = [pytest.param(name, marks=pytest.mark.torture) for name in ("resnet50", "vit_b_32")]


@pytest.mark.parametrize("arch", ["resnet18", "densenet121", *TORTURE])
def test_the_last_stage_of_the_four_architectures_is_found(arch):
    model = build(arch, 5, 64)
    if arch == "vit_b_32":
        nn.init.normal_(model.heads.head.weight, std=0.1)
    task = sib.SpatialIBTask(model, sib.SpatialIB.calibrated())
    images, labels = batch(4, 64, torch.float32)
    out = task(images, labels)
    for loss in (out.terms.weighted["layer"], out.terms.weighted["image"]):
        task.zero_grad()
        torch.autograd.backward(loss, inputs=list(model.parameters()), retain_graph=True)
        found = [p.grad.norm() for p in model.parameters() if p.grad is not None]
        assert torch.stack(found).isfinite().all() and torch.stack(found).sum() > 1e-4


@pytest.mark.parametrize(
    ("make", "layer"), [(group_norm_net, LAYER), (staged_net, "4"), (small_vit, None)]
)
@pytest.mark.parametrize("micro_batch", [1, 4])
def test_micro_batches_give_the_gradient_of_the_batch(make, layer, micro_batch):
    model, (images, labels) = make().double(), batch()
    task = sib.SpatialIBTask(model, sib.SpatialIB.calibrated(layer=layer))
    out = task(images, labels)
    task.backward(out.loss)
    expected = gradient(task)
    task.zero_grad()
    found = sib.accumulate(task, images, labels, micro_batch)
    assert torch.allclose(gradient(task), expected, rtol=1e-9, atol=1e-12)
    assert torch.allclose(found.loss, out.loss)
    for name, term in out.terms.weighted.items():
        assert found.terms.weighted[name] == pytest.approx(term.item())


def test_the_batch_does_not_change_what_an_image_adds():
    objective = sib.SpatialIB.calibrated(layer=LAYER, balance=False)
    task = sib.SpatialIBTask(group_norm_net().double(), objective)
    images, labels = batch()
    terms = [task(images[each], labels[each]).terms for each in (slice(0, 2), slice(2, 6))]
    mean = (2 * terms[0].loss + 4 * terms[1].loss) / 6
    assert task(images, labels).terms.loss.item() == pytest.approx(mean.item(), rel=1e-12)


def test_a_certain_network_still_has_a_gradient():
    """Where ½ Σ p² is flat, as p is one-hot in float32, the log-odds are not."""
    model = group_norm_net()
    with torch.no_grad():
        model[-1].weight *= 1e4
    images, labels = batch(dtype=torch.float32)
    published = sib.SpatialIBTask(model, sib.SpatialIB(window_size=3))(images, labels).terms
    calibrated = sib.SpatialIB.calibrated(layer=LAYER)
    found = sib.SpatialIBTask(model, calibrated)(images, labels).terms
    assert not published.reconstruction.any()
    assert found.reconstruction.abs().amax(dim=(1, 2, 3)).min() > 1


def test_a_zero_reconstruction_has_a_finite_loss_and_gradient():
    model = group_norm_net()
    nn.init.zeros_(model[-1].weight)
    task = sib.SpatialIBTask(model, sib.SpatialIB.calibrated(layer=LAYER))
    images, labels = batch(dtype=torch.float32)
    with pytest.warns(UserWarning, match="reconstruction R is exactly zero"):
        out = task(images, labels)
    task.backward(out.loss)
    assert out.loss.isfinite() and gradient(task).isfinite().all()


def test_training_moves_both_shares():
    torch.manual_seed(0)
    model = group_norm_net()
    task = sib.SpatialIBTask(model, CalibratedSpatialIB(0.6, 2.0, 2.0, balance=False, layer=LAYER))
    images, labels = batch(dtype=torch.float32)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    seen = []
    for _ in range(30):
        optimizer.zero_grad()
        out = task(images, labels)
        task.backward(out.loss)
        optimizer.step()
        seen.append((out.terms.foreground.item(), out.terms.background.item()))
    assert seen[-1][0] > seen[0][0] + 0.1
    assert seen[-1][1] < seen[0][1] - 0.1


def test_other_modules_have_the_last_layer_that_everything_passes_through():
    model = group_norm_net()
    found = sib.SpatialIBTask(model, sib.SpatialIB.calibrated())(*batch(dtype=torch.float32))
    last = cam_layer(model, batch(dtype=torch.float32)[0]).name
    assert last == "6"  # before the pooling
    given = sib.SpatialIBTask(model, sib.SpatialIB.calibrated(layer=last))
    assert torch.equal(found.loss, given(*batch(dtype=torch.float32)).loss)


def test_a_model_that_takes_no_such_images_is_told_too():
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3, 2))
    with pytest.raises(ValueError, match=r"layer must be given for a Sequential.*of 3 × 16 × 16"):
        sib.SpatialIBTask(model, sib.SpatialIB.calibrated())(*batch(dtype=torch.float32))


def test_a_layer_that_gives_no_map_is_refused():
    task = sib.SpatialIBTask(group_norm_net(), sib.SpatialIB.calibrated(layer="9"))
    with pytest.raises(ValueError, match=r"layer 9 must give a feature map .* not \(B, 5\)"):
        task(*batch(dtype=torch.float32))


def test_images_without_a_gradient_are_told():
    objective, (images, _) = sib.SpatialIB.calibrated(layer=LAYER), batch(dtype=torch.float32)
    model = group_norm_net()
    with objective.recording(model, images):
        logits = model(images)
    with pytest.raises(ValueError, match="images must require a gradient"):
        objective.eval()(logits, images)


@pytest.mark.parametrize("name", ["image_weight", "layer_weight", "stage_weight"])
@pytest.mark.parametrize("weight", [-1, float("inf"), float("nan"), "1"])
def test_weights_out_of_range_are_refused(name, weight):
    with pytest.raises(ValueError, match=f"{name} must be a finite number of at least 0"):
        CalibratedSpatialIB(**{name: weight})


def test_the_name_of_a_stage_alone_is_not_taken_for_a_list():
    with pytest.raises(ValueError, match=r"stages must be a list of names; got 'layer3'"):
        CalibratedSpatialIB(stages="layer3")
