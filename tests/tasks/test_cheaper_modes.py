"""The S-IB terms on some steps only, or on part of each batch."""

import copy

import pytest
import torch
import torch.nn.functional as F

import sib
from helpers.nets import group_norm_net


def problem(batch=8, **options):
    torch.manual_seed(0)
    task = sib.SpatialIBTask(group_norm_net(), sib.SpatialIB(1.0, 100.0, window_size=5), **options)
    return task, torch.randn(batch, 3, 16, 16), torch.arange(batch) % 5


def gradient_of(task):
    return torch.cat([p.grad.flatten() for p in task.model.parameters()])


def step(task, images, labels, micro_batch=100):
    task.zero_grad()
    out = sib.accumulate(task, images, labels, micro_batch)
    return out, gradient_of(task)


def test_terms_come_on_every_third_step_times_three():
    task, images, labels = problem(every_n_steps=3)
    plain, *_ = problem()
    whole = plain(images, labels)
    for number in range(7):
        assert task.step == number
        out = task(images, labels)
        assert out.cross_entropy.item() == pytest.approx(whole.cross_entropy.item(), rel=1e-6)
        if number % 3:
            assert out.terms is None and out.loss.item() == out.cross_entropy.item()
        else:
            expected = whole.cross_entropy + 3 * whole.terms.loss
            torch.testing.assert_close(out.loss, expected)


def test_the_mean_gradient_over_the_steps_is_that_of_the_method():
    task, images, labels = problem(every_n_steps=4)
    mean = torch.stack([step(task, images, labels)[1] for _ in range(4)]).mean(dim=0)
    _, whole = step(problem()[0], images, labels)
    torch.testing.assert_close(mean, whole, rtol=1e-4, atol=1e-7)


def test_steps_count_in_train_mode_only_and_can_be_set():
    task, images, labels = problem(every_n_steps=2)
    task.eval()
    assert task(images, labels).terms is not None and task.step == 0
    task.train()
    task.step = 5
    assert task(images, labels).terms is None and task.step == 6


@pytest.mark.parametrize("number", [0, 1])
def test_micro_batches_take_the_same_steps(number):
    task, images, labels = problem(every_n_steps=2)
    task.step = number
    other = copy.deepcopy(task)
    (out, gradient), (small, own) = step(task, images, labels), step(other, images, labels, 3)
    torch.testing.assert_close(own, gradient, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(small.loss, out.loss)
    assert task.step == other.step == number + 1 and (out.terms is None) == (small.terms is None)


def test_terms_of_a_part_of_the_batch():
    task, images, labels = problem(fraction=0.5)
    out = task(images, labels)
    part = problem()[0](images[:4], labels[:4])
    torch.testing.assert_close(out.terms.loss, part.terms.loss)
    cross_entropy = F.cross_entropy(task.model(images), labels)
    torch.testing.assert_close(out.loss, cross_entropy + part.terms.loss)
    assert out.logits.shape == (8, 5) and out.terms.mask.shape == (4, 1, 16, 16)


@pytest.mark.parametrize(
    ("fraction", "estimator", "batch", "count"),
    [(0.1, "biased", 8, 2), (0.1, "unbiased", 8, 4), (0.9, "biased", 8, 8), (0.25, "biased", 3, 3)],
)
def test_the_part_is_as_large_as_hsic_and_batch_norm_need(fraction, estimator, batch, count):
    objective = sib.SpatialIB(window_size=5, estimator=estimator)
    task = sib.SpatialIBTask(group_norm_net(), objective, fraction=fraction)
    assert task.num_regularized(batch) == count


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"every_n_steps": 0}, "every_n_steps must be"),
        ({"every_n_steps": 1.5}, "every_n_steps must be"),
        ({"fraction": 0}, "fraction must be above 0 and at most 1; got 0"),
        ({"fraction": float("nan")}, "fraction must be above 0"),
    ],
)
def test_bad_numbers(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        problem(**options)


def test_a_part_and_micro_batches_cannot_go_together():
    task, images, labels = problem(fraction=0.5)
    with pytest.raises(ValueError, match="and a fraction below 1 cannot be combined"):
        sib.accumulate(task, images, labels, 3)
