"""What a run will cost, measured before it starts."""

import copy
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sib.objectives.published import EVERY
from sib.objectives.rivals import Rival
from sib.tasks.accumulate import accumulate
from sib.tasks.plain import CrossEntropyTask
from sib.tasks.task import SpatialIBTask
from sib.utils.device import peak_memory, synchronize

Task = CrossEntropyTask | SpatialIBTask | Rival


class Cost(NamedTuple):
    """Measured on one real batch of the run."""

    parameters: int
    """Weights to be trained."""
    plain_step: float
    """Seconds of a cross-entropy step."""
    sib_step: float
    """Seconds of a step with the method's terms, in the mean over those that measure the weights
    and those that do not; NaN for plain cross-entropy."""
    total: float
    """Seconds of the whole training, reading images and validation not counted."""
    memory: int
    """Peak in bytes."""
    unused: bool = False
    """Whether a weight to be trained has no part in the loss."""


def estimate_cost(
    task: Task,
    images: Tensor,
    labels: Tensor,
    steps: int,
    context: Callable[[], "torch.autocast"],
    micro_batch: int | None = None,
    repeats: int = 3,
    foreground: Tensor | None = None,
) -> Cost:
    """Time plain and S-IB steps in turn, on a copy of the model.

    Args:
        task: of the run; it is left as it is, and so are the random generators.
        images: (B, 3, H, W), normalised, on the device.
        labels: (B,).
        steps: optimiser steps of the whole run.
        context: makes the autocast context of the run.
        micro_batch: of the run; None for the whole batch at once.
        repeats: counted steps of each kind, after one that is not counted; the median counts.
        foreground: (B, 1, H, W), for methods that use it.

    Returns:
        `Cost`.
    """
    memo: dict[int, Any] = {}  # one for both, so that a layer the objective names is the copy's
    model = copy.deepcopy(task.model, memo).train()
    tasks: list[Task] = [CrossEntropyTask(model)]
    if isinstance(task, SpatialIBTask):
        objective = copy.deepcopy(task.objective, memo)
        tasks.append(
            SpatialIBTask(model, objective, fraction=task.fraction, checkpoint=task.checkpoint)
        )
    elif isinstance(task, Rival):
        tasks.append(copy.deepcopy(task, memo))
    times: list[list[float]] = [[] for _ in tasks]
    cuda = [images.device] if images.device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        for _ in range(repeats + 1):
            for timed, each in zip(times, tasks, strict=True):
                timed.append(_time_step(each, images, labels, context, micro_batch, foreground))
        medians = [statistics.median(timed[1:]) for timed in times]
        balancing = tasks[-1]
        if isinstance(balancing, SpatialIBTask) and balancing.objective.balance:
            balancing.step = 0  # the next step measures the weights of the terms
            seconds = _time_step(balancing, images, labels, context, micro_batch, foreground)
            medians[-1] += (seconds - medians[-1]) / EVERY
    every = task.every_n_steps if isinstance(task, SpatialIBTask) else 1
    return Cost(
        parameters=count_parameters(model),
        plain_step=medians[0],
        sib_step=medians[1] if len(medians) > 1 else float("nan"),
        total=(medians[-1] + (every - 1) * medians[0]) / every * steps,
        memory=peak_memory(images.device),
        unused=any(p.requires_grad and p.grad is None for p in model.parameters()),
    )


def count_parameters(model: nn.Module) -> int:
    """Weights of a model that are trained."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def _time_step(
    task: Task,
    images: Tensor,
    labels: Tensor,
    context: Callable[[], "torch.autocast"],
    micro_batch: int | None,
    foreground: Tensor | None,
) -> float:
    synchronize(images.device)
    start = time.perf_counter()
    task.zero_grad()
    with context():
        accumulate(task, images, labels, micro_batch or len(labels), foreground=foreground)
    synchronize(images.device)
    return time.perf_counter() - start
