"""What a task and its objective refuse, in one sentence."""

import pytest
import torch
from torch import nn

import sib
from helpers.nets import Attention
from helpers.tasks import batch, gradients, strong
from sib.models import SmallResNet


def test_a_zero_head_is_warned_about_once():
    images, labels = batch()
    model = SmallResNet(5, 8)
    nn.init.zeros_(model.head.weight)
    task = sib.SpatialIBTask(model, strong())
    with pytest.warns(UserWarning, match="exactly zero"):
        task.backward(task(images, labels).loss)
    assert all(gradient.isfinite().all() for gradient in gradients(model))


def test_sync_batch_norm_is_refused_with_its_place():
    model = nn.SyncBatchNorm.convert_sync_batchnorm(SmallResNet(5, 8))
    with pytest.raises(ValueError, match=r"SyncBatchNorm \(at stem\.1\)"):
        sib.SpatialIBTask(model)


def test_a_task_is_not_compiled():
    with pytest.raises(ValueError, match=r"replay its steps with sib\.GraphedStep"):
        sib.Task(SmallResNet(5, 8)).compile()


def test_a_compiled_model_is_refused():
    with pytest.raises(ValueError, match=r"torch\.compile"):
        sib.SpatialIBTask(torch.compile(SmallResNet(5, 8)))


def test_attention_outside_second_order_is_refused_with_the_way_out():
    images, _ = batch()
    images.requires_grad_(True)
    logits = Attention()(images)
    with pytest.raises(ValueError, match=r"with sib\.second_order"):
        strong()(logits, images)


def bad(images=None, labels=None):
    good_images, good_labels = batch()
    return (
        good_images if images is None else images(good_images),
        good_labels if labels is None else labels(good_labels),
    )


@pytest.mark.parametrize(
    ("images", "labels", "sentence"),
    [
        (lambda x: x.index_fill(0, torch.tensor(1), torch.nan), None, "images must be finite"),
        (lambda x: x * torch.inf, None, "images must be finite"),
        (lambda x: x[0], None, r"images must be a non-empty \(B, C, H, W\)"),
        (lambda x: (x * 10).to(torch.uint8), None, "images must be floating point"),
        (None, lambda y: y + 5, r"labels must lie in \[0, 5\)"),
        (None, lambda y: y - 9, r"labels must lie in \[0, 5\)"),
        (None, lambda y: y[:2], "labels must be int64"),
        (None, lambda y: y.float(), "labels must be int64"),
        (lambda x: x[:1], lambda y: y[:1], "batch size of at least 2; got 1"),
    ],
)
def test_bad_batches_are_told_in_one_sentence(images, labels, sentence):
    task = sib.SpatialIBTask(SmallResNet(5, 8), strong())
    with pytest.raises(ValueError, match=sentence):
        task(*bad(images, labels))


def test_no_grad_is_refused():
    task = sib.SpatialIBTask(SmallResNet(5, 8), strong())
    with torch.no_grad(), pytest.raises(ValueError, match="no_grad"):
        task(*batch())


def test_a_window_larger_than_the_images_is_refused():
    task = sib.SpatialIBTask(SmallResNet(5, 8), sib.SpatialIB(window_size=33))
    with pytest.raises(ValueError, match="window_size must not exceed the image: 33"):
        task(*batch())


def test_models_without_a_tensor_or_a_free_parameter_are_told():
    class Pair(nn.Module):
        def forward(self, x):
            return x, x

    images, labels = batch()
    with pytest.raises(ValueError, match="one tensor of logits; got a tuple of"):
        sib.SpatialIBTask(Pair())(images, labels)
    task = sib.SpatialIBTask(SmallResNet(5, 8).requires_grad_(False), strong())
    with pytest.raises(ValueError, match="all are frozen"):
        task.backward(task(images, labels).loss)
