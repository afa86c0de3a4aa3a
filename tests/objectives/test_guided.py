"""Guided S-IB: a known foreground in place of the found one."""

import pytest
import torch

import sib
from helpers.nets import group_norm_net
from sib.functional.mask import guided_mask


def batch(size=6):
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(size, 3, 16, 16, generator=generator, dtype=torch.float64)
    foreground = torch.zeros(size, 1, 16, 16, dtype=torch.bool)
    foreground[1:, :, 3:9, 4:12] = True  # the first image is not annotated
    return images, torch.randint(5, (size,), generator=generator), foreground


OBJECTIVES = {
    "published": lambda **options: sib.SpatialIB(1.0, 1e5, window_size=5, **options),
    "calibrated": lambda **options: sib.SpatialIB.calibrated(layer="6", **options),
}


def test_the_mask_is_led_by_hand():
    mask = torch.tensor([[0.2, 0.6], [0.4, 0.8]]).reshape(2, 1, 1, 2)
    foreground = torch.tensor([[True, False], [False, False]]).reshape(2, 1, 1, 2)
    expected = torch.tensor([[0.4, 0.45], [0.4, 0.8]]).reshape(2, 1, 1, 2)
    assert torch.allclose(guided_mask(mask, foreground, 0.25), expected)
    assert torch.equal(guided_mask(mask, foreground)[0], foreground[0].float())


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_annotated_images_take_their_foreground_and_others_keep_theirs(kind):
    images, labels, foreground = batch()
    task = sib.SpatialIBTask(group_norm_net().double(), OBJECTIVES[kind]())
    found = task(images, labels).terms.mask
    led = task(images, labels, foreground).terms
    assert torch.equal(led.mask[1:], foreground[1:].double())
    assert torch.equal(led.mask[0], found[0])
    assert led.loss.isfinite()


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_a_foreground_that_is_nowhere_known_changes_nothing(kind):
    images, labels, foreground = batch()
    task = sib.SpatialIBTask(group_norm_net().double(), OBJECTIVES[kind]())
    unknown = torch.zeros_like(foreground)
    assert task(images, labels, unknown).loss == task(images, labels).loss


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_guidance_blends(kind):
    images, labels, foreground = batch()
    model = group_norm_net().double()
    found = sib.SpatialIBTask(model, OBJECTIVES[kind]())(images, labels).terms.mask
    task = sib.SpatialIBTask(model, OBJECTIVES[kind](guidance=0.3))
    led = task(images, labels, foreground).terms.mask
    assert torch.allclose(led[1:], 0.7 * found[1:] + 0.3 * foreground[1:])


@pytest.mark.parametrize("kind", OBJECTIVES)
@pytest.mark.parametrize("fraction", [1.0, 0.5])
def test_parts_of_a_batch_take_their_own_foregrounds(kind, fraction):
    images, labels, foreground = batch()
    task = sib.SpatialIBTask(group_norm_net().double(), OBJECTIVES[kind](), fraction=fraction)
    out = task(images, labels, foreground)
    task.backward(out.loss)
    assert torch.equal(out.terms.mask[1:], foreground[1 : len(out.terms.mask)].double())
    if fraction < 1:
        return
    expected = torch.cat([p.grad.flatten() for p in task.parameters()])
    task.zero_grad()
    sib.accumulate(task, images, labels, 2, foreground=foreground)
    found = torch.cat([p.grad.flatten() for p in task.parameters()])
    assert torch.allclose(found, expected, rtol=1e-8, atol=1e-11)


def test_a_plain_loop_gives_it_to_the_objective():
    images, labels, foreground = batch()
    model, objective = group_norm_net().double(), OBJECTIVES["published"]()
    images.requires_grad_(True)
    with sib.second_order():
        logits = model(images)
    terms = objective(logits, images, foreground)
    expected = sib.SpatialIBTask(model, objective)(images, labels, foreground).terms
    assert torch.allclose(terms.loss, expected.loss)


@pytest.mark.parametrize("guidance", [-0.1, 1.1, float("nan"), "1"])
def test_guidance_out_of_range_is_refused(guidance):
    with pytest.raises(ValueError, match=r"guidance must lie in \[0, 1\]"):
        sib.SpatialIB(guidance=guidance)


def test_a_foreground_of_another_shape_is_refused():
    images, labels, foreground = batch()
    task = sib.SpatialIBTask(group_norm_net().double(), OBJECTIVES["published"]())
    with pytest.raises(ValueError, match=r"foreground must be bool or floating point of shape"):
        task(images, labels, foreground[:, :, :8])


@pytest.mark.parametrize("kind", ["published", "calibrated"])
@pytest.mark.parametrize(("low", "high"), [(0.0, 255.0), (-1.0, 1.0), (0.0, float("nan"))])
def test_a_foreground_that_is_no_share_is_refused(kind, low, high):
    images, labels, foreground = batch()
    foreground = torch.where(foreground, high, low)
    task = sib.SpatialIBTask(group_norm_net().double(), OBJECTIVES[kind]())
    with pytest.raises(ValueError, match=r"foreground must lie in \[0, 1\]; got"):
        task(images, labels, foreground=foreground)
