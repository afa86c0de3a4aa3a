"""What a step needs to know about the whole batch before it differentiates a micro-batch."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sib.functional.precision import at_least_float32
from sib.objectives.base import Objective
from sib.objectives.parts import Parts, Terms
from sib.objectives.weighting import Losses
from sib.tasks.criterion import is_mean_over_images
from sib.tasks.part import PartGradients
from sib.tasks.task import Task
from sib.utils.random_state import random_state, rng_state

Batches = list[tuple[Tensor, Tensor, Tensor | None]]
"""Images, labels and known foregrounds."""


class FirstPass(NamedTuple):
    """What the first pass computed for the whole batch."""

    parts: list[PartGradients]
    """One for each micro-batch."""
    cross_entropy: Tensor | None
    """The classification loss of the whole batch; None if it is the sum over the micro-batches."""
    terms: Terms | None
    """The terms of the whole batch; None if they are sums over the micro-batches."""
    randomness: Callable[[], Any]
    """Makes a context in which the second pass draws the same random numbers as the first."""


def first_pass(task: Task, batches: Batches, step: int) -> FirstPass:
    """Run the model without a graph, where the batch's loss is not a mean over its images.

    Args:
        task: the task.
        batches: the micro-batches.
        step: number of the step.
    """
    sizes = [len(labels) for _, labels, _ in batches]
    shares = [size / sum(sizes) for size in sizes]
    objective = task.objective if task.is_regularized_step(step) else None
    coupled = objective is not None and objective.couples_images
    due = task.weights_are_due(step)
    exact = not is_mean_over_images(task.criterion)
    parts = [PartGradients(task.criterion, share, objective is not None) for share in shares]
    if not (coupled or due or exact):
        return FirstPass(_with_weights(parts, objective), None, None, nullcontext)
    device = batches[0][0].device
    before = random_state(device)
    found = None
    cross_entropy = None
    with _buffers_put_back(task.model):
        if coupled or exact:
            logits, found = _without_graph(task, batches, objective if coupled else None)
        if exact:
            cross_entropy, gradient = _differentiate_loss(task, logits, batches)
            own = gradient.split(sizes)
            parts = [part._replace(logits=g) for part, g in zip(parts, own, strict=True)]
        if due and objective is not None:
            with nullcontext() if found is None and not exact else rng_state(before, device):
                losses = _losses(task, objective, batches, parts, found)
                objective.update_weights(losses, task.model.parameters())
    terms = None
    if found is None:
        parts = _with_weights(parts, objective)
    elif objective is not None:
        terms, gradients = _differentiate_terms(task, objective, found)
        columns = zip(*(gradient.split(sizes) for gradient in gradients), strict=True)
        parts = [part._replace(terms=own) for part, own in zip(parts, columns, strict=True)]
    return FirstPass(parts, cross_entropy, terms, lambda: rng_state(before, device))


def _with_weights(parts: list[PartGradients], objective: Objective | None) -> list[PartGradients]:
    """Fix the weights of the terms, so that all micro-batches of the batch use the same ones.

    DistributedDataParallel broadcasts the first process's buffers in its last forward pass.
    """
    if objective is None:
        return parts
    return [part._replace(weights=objective.weights()) for part in parts]


def _without_graph(
    task: Task, batches: Batches, objective: Objective | None
) -> tuple[Tensor, Parts | None]:
    """Logits of the whole batch, and what its terms need if the objective couples its images."""
    logits, found = [], []
    for images, labels, known in batches:
        if objective is None:
            with torch.no_grad(), task.checked_calls(labels):
                logits.append(task.model(images))
            continue
        own, parts = task.parts(images, labels, known, create_graph=False)
        logits.append(own.detach())
        found.append(parts.detach())
    return torch.cat(logits), Parts.concatenate(found) if found else None


def _differentiate_loss(task: Task, logits: Tensor, batches: Batches) -> tuple[Tensor, Tensor]:
    """The classification loss of the batch, and its gradient with respect to the logits."""
    logits = at_least_float32(logits).requires_grad_()
    labels = torch.cat([labels for _, labels, _ in batches])
    with torch.autocast(logits.device.type, enabled=False):
        loss = task.classification_loss(logits, labels)
    return loss.detach(), torch.autograd.grad(loss, logits)[0]


def _differentiate_terms(
    task: Task, objective: Objective, parts: Parts
) -> tuple[Terms, tuple[Tensor, ...]]:
    """The terms of the batch, and the gradients of their loss with respect to the parts."""
    leaves = [tensor.requires_grad_() for tensor in parts.tensors()]
    terms = objective.weighted_terms(parts)
    gradients = torch.autograd.grad(task.every_n_steps * terms.loss, leaves)
    return terms.detach(), gradients


def _losses(
    task: Task,
    objective: Objective,
    batches: Batches,
    parts: list[PartGradients],
    found: Parts | None,
) -> Iterator[Losses]:
    """What each micro-batch contributes to the classification loss and the penalties."""
    gradients = None if found is None else _gradients_of_penalties(objective, found)
    place = 0
    for (images, labels, known), part in zip(batches, parts, strict=True):
        logits, own = task.parts(images, labels, known)
        if part.logits is None:
            cross_entropy = task.classification_loss(logits, labels)
        else:
            cross_entropy = (part.logits * at_least_float32(logits)).sum() / part.share
        if gradients is None:
            losses = objective.losses(cross_entropy, own, part.share)
        else:  # a term that couples the images may not be defined for so few of them
            rows = slice(place, place + len(labels))
            penalties = {
                name: torch.stack(
                    [(g[rows] * t).sum() for g, t in zip(each, own.tensors(), strict=True)]
                ).sum()
                for name, each in gradients.items()
            }
            losses = Losses(part.share * cross_entropy, penalties)
        place += len(labels)
        yield losses
        del logits, own, cross_entropy, losses


def _gradients_of_penalties(objective: Objective, parts: Parts) -> dict[str, tuple[Tensor, ...]]:
    """The gradients of the batch's penalties with respect to the parts of all its images."""
    leaves = [tensor.requires_grad_() for tensor in parts.tensors()]
    penalties = objective.penalties(objective.terms(parts))
    return {
        name: torch.autograd.grad(
            penalty, leaves, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        for name, penalty in penalties.items()
    }


@contextmanager
def _buffers_put_back(module: nn.Module) -> Iterator[None]:
    """Restore the buffers afterwards: only the second pass may update batch norm's statistics."""
    before = [buffer.clone() for buffer in module.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in zip(module.buffers(), before, strict=True):
                buffer.copy_(value)
