"""A step that measures the weights of its terms hands out the gradient that it measured."""

import gc
import weakref

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import sib
from helpers.calibrated import LAYER, batch
from helpers.nets import group_norm_net
from sib.tasks import task as tasks
from sib.tasks.task import Task


def make_task(double=True, **options):
    torch.manual_seed(0)
    model = group_norm_net()
    model = model.double() if double else model
    return Task(model, sib.SpatialIB.calibrated(layer=LAYER), **options)


def gradients(task, loss):
    task.zero_grad()
    loss.backward()
    return [p.grad.clone() for p in task.parameters()]


def with_and_without(task, images, labels, monkeypatch, factor=1.0):
    """Gradients of a measuring step as it is, and by a backward pass of its own."""
    ours = gradients(task, factor * task(images, labels, step=0).loss)
    with monkeypatch.context() as patch:
        patch.setattr(tasks, "with_known_gradient", lambda out, *others: out)
        expected = gradients(task, factor * task(images, labels, step=0).loss)
    return ours, expected


class Token:
    """Lives as long as the node of the graph that holds it."""


class HoldToken(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, token):
        ctx.token = token
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient, None


class Scaled(nn.Module):
    """A classification loss with a parameter."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones((), dtype=torch.float64))

    def forward(self, logits, labels):
        return F.cross_entropy(self.scale * logits, labels)


@pytest.mark.parametrize("options", [{}, {"every_n_steps": 3}, {"fraction": 0.5}], ids=str)
@pytest.mark.parametrize("double", [True, False])
def test_gradient_is_that_of_a_backward_pass(double, options, monkeypatch):
    task = make_task(double, **options)
    images, labels = batch(dtype=torch.float64 if double else torch.float32)
    ours, expected = with_and_without(task, images, labels, monkeypatch, factor=3.0)
    for a, b in zip(ours, expected, strict=True):
        assert (a - b).norm() <= (1e-7 if double else 1e-5) * b.norm()


def test_the_loss_is_the_sum_of_its_parts():
    task = make_task()
    out = task(*batch(), step=0)
    assert "KnownGradient" in out.loss.grad_fn.name()
    assert torch.equal(out.loss, out.cross_entropy + out.terms.loss)


def test_a_parameter_that_is_not_used_has_no_gradient():
    """Weight decay would move one whose gradient is zero."""
    task = make_task()
    task.model.register_parameter("idle", nn.Parameter(torch.ones(2, dtype=torch.float64)))
    task.backward(task(*batch(), step=0).loss)
    assert task.model.idle.grad is None
    assert all(p.grad is not None for p in task.parameters() if p is not task.model.idle)


def test_hooks_of_parameters_are_called_once():
    task, calls = make_task(), []
    for parameter in task.parameters():
        parameter.register_post_accumulate_grad_hook(lambda p: calls.append(id(p)))
    task.backward(task(*batch(), step=0).loss)
    assert sorted(calls) == sorted(id(p) for p in task.parameters())


def test_a_loss_of_the_logits_can_be_added():
    """As for distillation."""
    task = make_task()
    images, labels = batch()
    out = task(images, labels, step=0)
    ours = gradients(task, out.loss + out.logits.square().sum())
    alone = gradients(task, task(images, labels, step=0).loss)
    added = gradients(task, task(images, labels, step=0).logits.square().sum())
    for a, b, c in zip(ours, alone, added, strict=True):
        torch.testing.assert_close(a, b + c, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("keep", [True, False])
def test_backward_frees_the_graph_unless_it_is_kept(keep):
    task, tokens = make_task(), []

    def hold(module, inputs, output):
        token = Token()
        tokens.append(weakref.ref(token))
        return HoldToken.apply(output, token)

    task.model[0].register_forward_hook(hold)
    out = task(*batch(), step=0)
    kept = tokens[-1]
    assert kept() is not None
    out.loss.backward(retain_graph=keep)
    gc.collect()
    assert (kept() is not None) == keep
    assert out.logits.requires_grad == keep


def test_a_criterion_with_a_parameter_that_nobody_knows_of_gets_its_gradient():
    scale = nn.Parameter(torch.ones((), dtype=torch.float64))
    task = make_task(criterion=lambda logits, labels: F.cross_entropy(scale * logits, labels))
    task(*batch(), step=0).loss.backward()
    assert scale.grad is not None and scale.grad != 0


def test_a_criterion_that_is_a_module_may_have_parameters(monkeypatch):
    task = make_task(criterion=Scaled())
    ours, expected = with_and_without(task, *batch(), monkeypatch)
    for a, b in zip(ours, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-12)
    assert task.criterion.scale.grad != 0
