"""What a run will cost, measured before it starts."""

import copy
import math
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sib.config.train import TrainConfig
from sib.data import Batch
from sib.data.normalization import normalise
from sib.objectives.weighting import GradientBalancer
from sib.tasks.accumulate import accumulate
from sib.tasks.task import Task
from sib.training.guidance import drawn_labels, guiding_foreground
from sib.training.memory import advice, fitting_micro_batch, is_out_of_memory
from sib.training.setup import make_autocast
from sib.utils.device import peak_memory, synchronize
from sib.utils.errors import InputError


class Cost(NamedTuple):
    """What one real batch of the run costs."""

    parameters: int
    """Number of trained weights."""
    plain_step: float
    """Seconds of a cross-entropy step."""
    sib_step: float
    """Seconds of a step with the method's terms, averaged over steps that measure the weights and
    those that do not; NaN for plain cross-entropy."""
    total: float
    """Seconds of the whole training, without reading images and validation."""
    memory: int
    """Peak memory in bytes."""
    frozen: int = 0
    """Number of weights that are not trained."""
    unused: bool = False
    """Whether some trained weight does not affect the loss."""


def cost_of(
    config: TrainConfig, task: Task, batch: Batch, steps: int, device: torch.device
) -> Cost:
    """The cost of a run, measured on a copy of its task.

    Args:
        config: the run's options.
        task: the run's task.
        batch: its first batch.
        steps: optimiser steps in the whole run.
        device: where the task is.

    Raises:
        InputError: the batch does not fit into memory, and what would; or the model takes no such
            batch.
    """
    images = normalise(batch.images, device, config.input.normalization)
    labels, context = batch.labels.to(device), make_autocast(config, device)
    known = guiding_foreground(batch, config)
    if known is not None:
        drawn = config.guided_labels == "drawn"
        known = (drawn_labels(known, batch.names, 0, config.seed) if drawn else known).to(device)
    try:
        return estimate_cost(
            task, images, labels, steps, context, config.micro_batch, foreground=known
        )
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        size = config.micro_batch or len(labels)
        fits = fitting_micro_batch(task, images, labels, size, context, known)
        raise InputError(f"--batch-size {config.batch_size}: {advice(size, fits)}") from None
    except ValueError as error:  # of a layer that gives no feature map, a model that takes no batch
        raise InputError(f"--arch {config.arch}: {error}") from None


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
    """Time plain and S-IB steps alternately, on a copy of the model.

    Args:
        task: the run's task; it and the random generators are left unchanged.
        images: (B, 3, H, W), normalised, on the device.
        labels: (B,).
        steps: optimiser steps in the whole run.
        context: makes the run's autocast context.
        micro_batch: the run's micro-batch; None for the whole batch at once.
        repeats: timed steps of each kind, after one that is not timed; their median counts.
        foreground: (B, 1, H, W), for methods that use it.

    Returns:
        `Cost`.
    """
    memo: dict[int, Any] = {}  # shared, so that a layer named by the objective is the copy's
    model = copy.deepcopy(task.model, memo).train()
    options: dict[str, Any] = {"criterion": task.criterion, "batch_norm": task.batch_norm}
    tasks = [Task(model, **options)]
    every = task.every_n_steps
    if task.objective is not None:
        objective = copy.deepcopy(task.objective, memo)
        modes: dict[str, Any] = {"fraction": task.fraction, "checkpoint": task.checkpoint}
        tasks.append(Task(model, objective, **options, **modes))
    times: list[list[float]] = [[] for _ in tasks]
    cuda = [images.device] if images.device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        for _ in range(repeats + 1):
            for timed, each in zip(times, tasks, strict=True):
                timed.append(_time_step(each, images, labels, context, micro_batch, foreground))
        medians = [statistics.median(timed[1:]) for timed in times]
        if task.objective is not None and isinstance(task.objective.weighting, GradientBalancer):
            measuring = (tasks[-1], images, labels, context, micro_batch, foreground)
            seconds = _time_step(*measuring, step=0)
            regularized = range(math.ceil(steps / every))
            due = sum(map(task.objective.weighting.is_due, regularized))
            medians[-1] += (seconds - medians[-1]) * due / max(1, len(regularized))
    return Cost(
        parameters=count_parameters(model),
        frozen=sum(p.numel() for p in model.parameters() if not p.requires_grad),
        plain_step=medians[0],
        sib_step=medians[1] if len(medians) > 1 else float("nan"),
        total=(medians[-1] + (every - 1) * medians[0]) / every * steps,
        memory=peak_memory(images.device),
        unused=any(p.requires_grad and p.grad is None for p in model.parameters()),
    )


def count_parameters(model: nn.Module) -> int:
    """Number of a model's trained weights."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def _time_step(
    task: Task,
    images: Tensor,
    labels: Tensor,
    context: Callable[[], "torch.autocast"],
    micro_batch: int | None,
    foreground: Tensor | None,
    step: int | None = None,
) -> float:
    synchronize(images.device)
    start = time.perf_counter()
    task.zero_grad()
    with context():
        size = micro_batch or len(labels)
        accumulate(task, images, labels, size, foreground=foreground, step=step)
    synchronize(images.device)
    return time.perf_counter() - start
