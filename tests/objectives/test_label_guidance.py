"""Guided S-IB label by label, against the formula one image and one label at a time."""

import itertools

import pytest
import torch
from torch import nn

import sib
from helpers.calibrated import appearance, gradient, share_outside, staged_net
from sib.objectives.energy import EnergyLoss

WEIGHTS = {"image_weight": 0.7, "layer_weight": 0.4, "stage_weight": 0.9}


def batch(size=5, labels=4):
    """The first image is not annotated; the others have one label, two, three and two."""
    generator = torch.Generator().manual_seed(2)
    images = torch.randn(size, 3, 16, 16, generator=generator, dtype=torch.float64)
    present = torch.zeros(size, labels, dtype=torch.float64)
    foreground = torch.zeros(size, labels, 16, 16, dtype=torch.bool)
    for image, own in enumerate(([0, 2], [1], [0, 3], [0, 1, 2], [2, 3])):
        present[image, own] = 1
        for k in own if image else []:
            foreground[image, k, 2 * k : 2 * k + 7, 3 : 9 + k] = True
    return images, present, foreground


def make_task(model, **options):
    objective = sib.SpatialIB.calibrated(balance=False, layer="4", stages=["2"], **options)
    return sib.Task(model, objective, nn.BCEWithLogitsLoss())


def by_the_formula(model, images, foreground, image_weight, layer_weight, stage_weight):
    images = images.clone().requires_grad_()
    stage = model[:3](images)
    features = model[3:5](stage)
    logits = model[5:](features)
    total = 0
    for b in range(len(images)):
        own = [k for k in range(logits.shape[1]) if foreground[b, k].any()]
        for k in own or [None]:
            score = -(-logits[b].abs()).exp().sum().log() if k is None else logits[b, k]
            gradients = torch.autograd.grad(score, (images, features, stage), create_graph=True)
            R, G, G1 = (each[b] for each in gradients)
            if k is None:
                M = appearance(R.detach(), images[b].detach(), round(31 / 224 * 16))
            else:
                M = foreground[b, k].double()
            share = image_weight * (R**2 * (1 - M)).sum() / (R**2).sum()
            share = share + layer_weight * share_outside(features[b], G, M)
            share = share + stage_weight * share_outside(stage[b], G1, M)
            total = total + share / len(own or [None])
    return total / len(images)


def test_equals_the_formula_one_label_at_a_time():
    torch.manual_seed(0)
    model = staged_net(4).double()
    images, labels, foreground = batch()
    task = make_task(model, **WEIGHTS)
    out = task(images, labels, foreground)
    expected = by_the_formula(model, images, foreground, **WEIGHTS)
    torch.testing.assert_close(out.terms.loss, expected, rtol=1e-9, atol=0)
    task.backward(out.terms.loss)
    found = gradient(model)
    model.zero_grad()
    expected.backward()
    torch.testing.assert_close(found, gradient(model), rtol=1e-7, atol=1e-12)
    assert torch.equal(out.terms.mask[1:, 0], foreground[1:].any(dim=1).double())


def test_micro_batches_are_the_batch():
    torch.manual_seed(0)
    model = staged_net(4).double()
    images, labels, foreground = batch()
    task = make_task(model, **WEIGHTS)
    task.backward(task(images, labels, foreground).loss)
    whole = gradient(model)
    model.zero_grad()
    sib.accumulate(task, images, labels, micro_batch=2, foreground=foreground)
    torch.testing.assert_close(gradient(model), whole, rtol=1e-9, atol=1e-14)


def test_one_drawn_label_has_the_same_expectation():
    """The mean over all ways to draw one label of each image."""
    torch.manual_seed(0)
    model = staged_net(4).double()
    images, labels, foreground = batch()
    task = make_task(model, **WEIGHTS)
    task.backward(task(images, labels, foreground).terms.loss)
    expected = gradient(model)
    choices = [own.nonzero().flatten().tolist() or [0] for own in foreground.flatten(2).any(dim=2)]
    found = []
    for drawn in itertools.product(*choices):
        one = torch.zeros_like(foreground)
        for image, k in enumerate(drawn):
            one[image, k] = foreground[image, k]
        model.zero_grad()
        task.backward(task(images, labels, one).terms.loss)
        found.append(gradient(model))
    assert len(found) == 12
    torch.testing.assert_close(torch.stack(found).mean(dim=0), expected, rtol=1e-9, atol=1e-14)


def test_a_label_that_is_missed_is_explained_too():
    """z_k, not the log-odds of the decision: the map of a label is that of its evidence."""
    torch.manual_seed(0)
    model = staged_net(4).double()
    images, labels, foreground = batch()
    with torch.no_grad():
        model[-1].bias -= 100
    out = make_task(model, **WEIGHTS)(images, labels, foreground)
    expected = by_the_formula(model, images, foreground, **WEIGHTS)
    torch.testing.assert_close(out.terms.loss, expected, rtol=1e-9, atol=0)


def test_without_annotation_it_is_the_method_itself():
    torch.manual_seed(0)
    model = staged_net(4).double()
    images, labels, foreground = batch()
    task = make_task(model, **WEIGHTS)
    unknown = task(images, labels, foreground & False).loss
    torch.testing.assert_close(unknown, task(images, labels).loss, rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    "objective", [sib.SpatialIB(window_size=5), EnergyLoss(0.1)], ids=["published", "energy"]
)
def test_other_objectives_refuse_it(objective):
    images, labels, foreground = batch()
    task = sib.Task(staged_net(4).double(), objective, nn.BCEWithLogitsLoss())
    with pytest.raises(ValueError, match=r"foreground must be .* of shape \(5, 1, 16, 16\)"):
        task(images, labels, foreground)


def test_a_foreground_for_another_number_of_labels_is_refused():
    images, labels, foreground = batch()
    with pytest.raises(ValueError, match=r"of shape \(5, 4, 16, 16\); got .*\(5, 3, 16, 16\)"):
        make_task(staged_net(4).double())(images, labels, foreground[:, :3])
