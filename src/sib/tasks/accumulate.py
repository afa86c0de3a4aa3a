"""A batch too large for the device, computed a few images at a time, with the same gradients."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from sib.functional import checks
from sib.functional.precision import at_least_float32
from sib.objectives.base import Objective, Parts, Terms
from sib.objectives.weighting import Losses
from sib.tasks.criterion import is_mean_over_images
from sib.tasks.output import StepOutput
from sib.tasks.task import PartGradients, Task
from sib.utils.random_state import random_state, rng_state

Batches = list[tuple[Tensor, Tensor, Tensor | None]]
"""Images, labels and known foregrounds."""


def accumulate(
    task: nn.Module,
    images: Tensor,
    labels: Tensor,
    micro_batch: int,
    watch: Callable[[StepOutput], None] | None = None,
    *,
    loss_scale: float = 1.0,
    foreground: Tensor | None = None,
    step: int | None = None,
) -> StepOutput:
    """Add one batch's gradients to the parameters', holding the graph of few images at a time.

    Where the loss is a mean over the images, its gradient is the mean of the micro-batches'. HSIC
    couples the images of a batch, so there the mean over micro-batches is not the batch. But the
    loss L depends on an image only through its parts v (the rows of HSIC, the variance of its
    background). A first pass computes all v without a graph, then ∂L/∂v; a second one
    differentiates Σ ⟨∂L/∂v, v⟩ of each micro-batch. The gradients are those of the whole batch, at
    4/3 of its cost where the first pass takes 2 units (forward, VJP) and the second 6. The same is
    done with the logits where the criterion is not a mean over the images.

    Batch norm in train mode takes its statistics from each micro-batch, as gradient accumulation
    always does, and then the gradients are those of a batch so normalised. Buffers change once
    for each micro-batch, and dropout draws the same in all passes.

    >>> out = sib.accumulate(task, images, labels, micro_batch=8)
    >>> optimizer.step()

    Args:
        task: `Task`, or DistributedDataParallel around one; its processes exchange gradients once,
            in the last micro-batch.
        images: (B, C, H, W), as for the task.
        labels: (B,) or (B, K), as for the task.
        micro_batch: most images whose graph is held at a time, at least 1. B is cut into equal
            parts, or nearly so.
        watch: is given the output of each micro-batch before its backward pass: losses are the
            micro-batch's shares of those of the batch.
        loss_scale: the gradients are multiplied by it, as training in float16 needs; what is
            returned is not.
        foreground: (B, 1, H, W), as for the task.
        step: as for the task.

    Returns:
        `StepOutput` of the whole batch, without graph.

    Raises:
        ValueError: as the task does, or ``micro_batch`` is below 1.
    """
    checks.whole_number("micro_batch", micro_batch)
    parallel = task if isinstance(task, DistributedDataParallel) else None
    inner: Task = task if parallel is None else parallel.module  # type: ignore[assignment]
    count = -(-len(images) // micro_batch)
    if count > 1 and inner.fraction < 1:
        raise ValueError("micro_batch cannot go with a fraction below 1: give one of them")
    if count <= 1:
        out = task(images, labels, foreground, step=step)
        _finish(inner, out, watch, loss_scale)
        return out.detach()
    known = [None] * count if foreground is None else foreground.tensor_split(count)
    batches: Batches = list(
        zip(images.tensor_split(count), labels.tensor_split(count), known, strict=True)
    )
    first = _first_pass(inner, batches, inner.take_step(step))
    outs = []
    with first.randomness():
        for number, (batch, part) in enumerate(zip(batches, first.parts, strict=True)):
            last = number == count - 1
            with nullcontext() if last or parallel is None else parallel.no_sync():
                with inner.as_part_of_batch(part):
                    out = task(*batch)
                _finish(inner, out, watch, loss_scale)
            outs.append(out.detach())
    return _whole(inner, outs, first)


class FirstPass(NamedTuple):
    """What has to be known of the whole batch before the gradient of its first image."""

    parts: list[PartGradients]
    """One for each micro-batch."""
    cross_entropy: Tensor | None
    """Of the whole batch; None where it is the sum of the micro-batches'."""
    terms: Terms | None
    """The same of the terms."""
    randomness: Callable[[], Any]
    """Makes the context in which the second pass draws what the first one drew."""


def _first_pass(task: Task, batches: Batches, step: int) -> FirstPass:
    sizes = [len(labels) for _, labels, _ in batches]
    shares = [size / sum(sizes) for size in sizes]
    objective = task.objective if task.is_regularized_step(step) else None
    coupled = objective is not None and objective.couples_images
    due = task.weights_are_due(step)
    exact = not is_mean_over_images(task.criterion)
    parts = [PartGradients(share, objective is not None) for share in shares]
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
    """The weights of the batch, so that all of its micro-batches have the same ones.

    DistributedDataParallel gives the buffers of the first process to all in its last forward pass.
    """
    if objective is None:
        return parts
    return [part._replace(weights=objective.weights()) for part in parts]


def _without_graph(
    task: Task, batches: Batches, objective: Objective | None
) -> tuple[Tensor, Parts | None]:
    """Logits of the whole batch, and what its terms need where an objective couples its images."""
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
    """Each micro-batch's part in the classification loss and in the penalties, with graph."""
    gradients = None if found is None else _gradients_of_penalties(objective, found)
    place = 0
    for (images, labels, known), part in zip(batches, parts, strict=True):
        logits, own = task.parts(images, labels, known)
        if part.logits is None:
            cross_entropy = task.classification_loss(logits, labels)
        else:
            cross_entropy = (part.logits * at_least_float32(logits)).sum() / part.share
        losses = objective.losses(cross_entropy, own, part.share)
        if gradients is not None:
            rows = slice(place, place + len(labels))
            losses = losses._replace(
                penalties={
                    name: torch.stack(
                        [(g[rows] * t).sum() for g, t in zip(each, own.tensors(), strict=True)]
                    ).sum()
                    for name, each in gradients.items()
                }
            )
        place += len(labels)
        yield losses
        del logits, own, cross_entropy, losses


def _gradients_of_penalties(objective: Objective, parts: Parts) -> dict[str, tuple[Tensor, ...]]:
    """Of each penalty of the batch, with respect to the parts of all its images."""
    leaves = [tensor.requires_grad_() for tensor in parts.tensors()]
    penalties = objective.penalties(objective.terms(parts))
    return {
        name: torch.autograd.grad(
            penalty, leaves, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        for name, penalty in penalties.items()
    }


def _whole(task: Task, outs: list[StepOutput], first: FirstPass) -> StepOutput:
    """The output of the batch from those of its micro-batches."""
    logits = torch.cat([out.logits for out in outs])
    cross_entropy = first.cross_entropy
    if cross_entropy is None:
        cross_entropy = _sum([out.cross_entropy for out in outs])
    terms = first.terms or _mean_terms(outs, [part.share for part in first.parts])
    if terms is None:
        return StepOutput(cross_entropy, logits, cross_entropy)
    return task.output(logits, cross_entropy, terms)


def _mean_terms(outs: list[StepOutput], shares: list[float]) -> Terms | None:
    """Terms that are means over the images, from those of the micro-batches."""
    found = [out.terms for out in outs if out.terms is not None]
    if not found:
        return None
    first = found[0]
    pairs = list(zip(found, shares, strict=True))
    masks = [terms.mask for terms in found if terms.mask is not None]
    maps = [terms.reconstruction for terms in found if terms.reconstruction is not None]
    return Terms(
        {name: _sum([share * each.values[name] for each, share in pairs]) for name in first.values},
        {name: _sum([each.weighted[name] for each in found]) for name in first.weighted},
        first.weights,
        torch.cat(masks) if masks else None,
        torch.cat(maps) if maps else None,
    )


def _sum(scalars: list[Tensor]) -> Tensor:
    return torch.stack(scalars).sum()


def _finish(
    task: Task, out: StepOutput, watch: Callable[[StepOutput], None] | None, loss_scale: float
) -> None:
    # a caller's autocast is meant for the forward pass
    with torch.autocast(out.loss.device.type, enabled=False):
        if watch is not None:
            watch(out)
        task.backward(loss_scale * out.loss)


@contextmanager
def _buffers_put_back(module: nn.Module) -> Iterator[None]:
    """The first pass may move batch norm's statistics no further than the second one will."""
    before = [buffer.clone() for buffer in module.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in zip(module.buffers(), before, strict=True):
                buffer.copy_(value)
