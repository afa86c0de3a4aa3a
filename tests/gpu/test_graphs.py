"""Steps from CUDA graphs are the ordinary ones. Only a CUDA GPU has graphs."""

import copy
from contextlib import nullcontext

import pytest
import torch

import sib
from helpers.device import TASKS, batch, distance, draw_the_same, gradient, on
from sib.models import build

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="no CUDA device is present, and graphs need one"
)
STEPS = 12
"""Ordinary ones, captured ones and, at 0 and 8, steps that measure the weights of the terms."""


def train(task, step, precision=nullcontext):
    """Losses of some steps with updates, each on a batch of its own."""
    optimizer = torch.optim.SGD(task.model.parameters(), lr=0.01)
    losses = []
    for number in range(STEPS):
        images, labels, foreground = batch(32, seed=number)
        known = task.objective is not None and task.objective.needs_foreground
        kind = next(task.parameters()).dtype
        inputs = [images.to(kind), labels, *([foreground.to(kind)] if known else [])]
        task.zero_grad()
        with precision():
            out = step(*(each.cuda() for each in inputs))
        losses.append(out.loss.detach())
        optimizer.step()
    return torch.stack(losses)


def ordinary(task):
    def step(*inputs):
        out = task(*inputs)
        with torch.autocast("cuda", enabled=False):
            task.backward(out.loss)
        return out

    return step


@pytest.mark.parametrize("method", TASKS)
def test_steps_from_graphs_are_the_ordinary_ones(method, monkeypatch):
    draw_the_same(monkeypatch)
    model = build("small_resnet", 5, 32)
    tasks = [on("cuda", model, TASKS[method], torch.float64).train() for _ in range(2)]
    found = train(tasks[0], sib.GraphedStep(tasks[0]))
    wanted = train(tasks[1], ordinary(tasks[1]))
    assert distance(found, wanted) < 1e-8
    assert distance(gradient(tasks[0]), gradient(tasks[1])) < 1e-6
    for name, value in tasks[1].state_dict().items():
        assert distance(tasks[0].state_dict()[name], value) < 1e-6, name


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("method", ["published", "calibrated", "cross-entropy"])
def test_graphs_in_half_precision(method, dtype):
    model = build("small_resnet", 5, 32)
    tasks = [on("cuda", model, TASKS[method]).train() for _ in range(2)]

    def precision():
        return torch.autocast("cuda", dtype=dtype)

    found = train(tasks[0], sib.GraphedStep(tasks[0]), precision)
    wanted = train(tasks[1], ordinary(tasks[1]), precision)
    assert distance(found, wanted) < 0.02


def test_random_numbers_are_drawn_anew_in_each_replay():
    model = torch.nn.Sequential(
        torch.nn.Flatten(),
        torch.nn.Linear(3 * 32 * 32, 16),
        torch.nn.Dropout(),
        torch.nn.Linear(16, 5),
    ).cuda()
    step = sib.GraphedStep(sib.Task(model).train())
    images, labels, _ = (each.cuda() for each in batch(32))
    losses = []
    for _ in range(6):
        model.zero_grad()
        losses.append(step(images, labels).loss.item())
    assert len(set(losses)) == len(losses)


def test_a_model_that_waits_for_the_gpu_is_refused():
    class Waits(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(3, 5)

        def forward(self, images):
            means = images.mean((2, 3))
            return self.layer(means * (2 if means.sum().item() > 0 else 1))

    task = sib.Task(Waits().cuda()).train()
    step = sib.GraphedStep(task)
    images, labels, _ = (each.cuda() for each in batch(32))
    for _ in range(2):
        step(images, labels)
    with pytest.raises(ValueError, match="cannot be captured as a CUDA graph"):
        step(images, labels)
    task.backward(task(images, labels).loss)  # the task itself still works
    assert torch.isfinite(copy.deepcopy(gradient(task))).all()
