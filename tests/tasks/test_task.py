"""SpatialIBTask: what it computes, and which gradients it gives."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import sib
from helpers.nets import Attention
from helpers.tasks import batch, gradients, strong
from sib.models import SmallResNet


@pytest.mark.parametrize("form", ["linear", "exp"])
def test_the_plain_loop_and_the_task_compute_the_same(form):
    images, labels = batch()
    objective = sib.SpatialIB(1.0, 1e3, window_size=9, form=form)
    loop_model, task_model = SmallResNet(5, 8), SmallResNet(5, 8)
    task_model.load_state_dict(loop_model.state_dict())

    x = images.clone().requires_grad_(True)
    with sib.second_order():
        logits = loop_model(x)
    terms = objective(logits, x)
    (F.cross_entropy(logits, labels) + terms.loss).backward()

    task = sib.SpatialIBTask(task_model, objective)
    out = task(images, labels)
    task.backward(out.loss)

    assert torch.equal(out.terms.loss, terms.loss)
    assert torch.equal(out.loss, out.cross_entropy + out.terms.loss)
    for a, b in zip(gradients(loop_model), gradients(task_model), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-7)


def test_backward_gives_parameters_a_gradient_and_images_none():
    images, labels = batch()
    task = sib.SpatialIBTask(SmallResNet(5, 8), strong())
    out = task(images, labels)
    task.backward(out.loss)
    assert images.grad is None and not images.requires_grad
    assert all(gradient is not None for gradient in gradients(task.model))


def test_backward_skips_the_double_backward_of_the_images():
    seen = []

    class Watch(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            seen.append(1)
            return gradient

    class Watched(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = SmallResNet(5, 8)

        def forward(self, x):
            return self.body(Watch.apply(x))

    images, labels = batch()
    task = sib.SpatialIBTask(Watched(), strong())
    out = task(images, labels)
    assert len(seen) == 1  # the VJP itself
    task.backward(out.loss)
    assert len(seen) == 1
    out = task(images, labels)
    out.loss.backward()
    assert len(seen) == 3  # the VJP, and the gradient nobody asked for


def test_accumulated_gradients_are_the_sum_of_two_steps():
    images, labels = batch()
    task = sib.SpatialIBTask(SmallResNet(5, 8).eval(), strong())
    task.backward(task(images, labels).loss)
    once = gradients(task.model)
    task.backward(task(images, labels).loss)
    for a, b in zip(once, gradients(task.model), strict=True):
        torch.testing.assert_close(2 * a, b, rtol=1e-5, atol=1e-6)


def test_batch_norm_statistics_advance_once_a_step():
    images, labels = batch()
    model = SmallResNet(5, 8)
    sib.SpatialIBTask(model, strong())(images, labels)
    counts = [b.item() for name, b in model.named_buffers() if name.endswith("num_batches_tracked")]
    assert counts and set(counts) == {1}


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_couples_the_images_of_a_batch_in_train_mode_only(training):
    images, _ = batch()
    model = SmallResNet(5, 8).train(training)

    def first_reconstruction(others):
        x = torch.cat([images[:1], others]).requires_grad_(True)
        return sib.functional.reconstruct(model(x), x)[0]

    change = first_reconstruction(images[1:]) - first_reconstruction(images[1:].flip(-1) * 2)
    scale = first_reconstruction(images[1:]).norm()
    assert (change.norm() > 0.1 * scale) if training else (change.norm() < 1e-4 * scale)


def test_attention_is_differentiated_twice_by_the_task():
    images, labels = batch()
    task = sib.SpatialIBTask(Attention(), strong())
    task.backward(task(images, labels).loss)
    assert all(gradient.isfinite().all() for gradient in gradients(task.model))


def test_cross_entropy_task_is_the_plain_step():
    images, labels = batch()
    model = SmallResNet(5, 8).eval()
    out = sib.CrossEntropyTask(model)(images, labels)
    assert out.terms is None
    assert torch.equal(out.loss, F.cross_entropy(model(images), labels))


class WithTemplate(nn.Module):
    """Convolves a parameter, which is a leaf like the images."""

    def __init__(self):
        super().__init__()
        self.body, self.conv = SmallResNet(5, 8), nn.Conv2d(3, 5, 3)
        self.template = nn.Parameter(torch.randn(1, 3, 8, 8))

    def forward(self, x):
        return self.body(x) + self.conv(self.template).mean(dim=(2, 3))


@pytest.mark.parametrize("own", [True, False])
def test_a_parameter_that_is_convolved_gets_its_gradient(own):
    images, labels = batch()
    task = sib.SpatialIBTask(WithTemplate(), strong())
    loss = task(images, labels).loss
    task.backward(loss) if own else loss.backward()
    assert task.model.template.grad is not None and task.model.template.grad.any()
