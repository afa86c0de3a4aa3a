"""A batch too large for the device, computed a few images at a time, with the same gradients."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from sib.functional import checks
from sib.functional.parts import ImageParts, Parts
from sib.functional.precision import at_least_float32
from sib.objectives.published import SpatialIBTerms
from sib.tasks.plain import Directions, TaskOutput
from sib.tasks.task import SpatialIBTask
from sib.utils.random_state import random_state, replayed

Batches = list[tuple[Tensor, Tensor, Tensor | None]]
"""Images, labels and known foregrounds."""


def accumulate(
    task: nn.Module,
    images: Tensor,
    labels: Tensor,
    micro_batch: int,
    watch: Callable[[TaskOutput], None] | None = None,
    *,
    loss_scale: float = 1.0,
    foreground: Tensor | None = None,
) -> TaskOutput:
    """Add one batch's gradients to the parameters', holding the graph of few images at a time.

    HSIC couples the images of a batch, so that the mean over micro-batches is not the batch. But
    the loss L depends on an image only through its parts v (the rows of HSIC, the variance of its
    background). A first pass finds all v without a graph, then ∂L/∂v; a second one differentiates
    Σ ⟨∂L/∂v, v⟩ of each micro-batch. The gradients are those of the whole batch, at 4/3 of its cost
    where the first pass takes 2 units (forward, VJP) and the second 6.

    Batch norm in train mode takes its statistics from each micro-batch, as gradient accumulation
    always has it, and then the gradients are those of a batch so normalised. Buffers change once
    for each micro-batch, and dropout draws the same in both passes.

    >>> out = sib.accumulate(task, images, labels, micro_batch=8)
    >>> optimizer.step()

    Args:
        task: `SpatialIBTask`, `CrossEntropyTask` or a rival, or DistributedDataParallel around
            one; its processes exchange gradients once, in the last micro-batch.
        images: (B, C, H, W), as for the task.
        labels: (B,).
        micro_batch: most images whose graph is held at a time, at least 1. B is cut into equal
            parts, or nearly so.
        watch: is given the output of each micro-batch before its backward pass: losses are the
            micro-batch's shares of those of the batch.
        foreground: (B, 1, H, W), as for the task.
        loss_scale: the gradients are multiplied by it, as training in float16 needs; what is
            returned is not.

    Returns:
        `TaskOutput` of the whole batch, without graph.

    Raises:
        ValueError: as the task does, or ``micro_batch`` is below 1.
    """
    checks.whole_number("micro_batch", micro_batch)
    parallel = task if isinstance(task, DistributedDataParallel) else None
    inner: Any = task if parallel is None else parallel.module
    count = -(-len(images) // micro_batch)
    if count > 1 and getattr(inner, "fraction", 1) < 1:
        raise ValueError("micro_batch cannot go with a fraction below 1: give one of them")
    if count <= 1:
        out = task(images, labels, None, foreground)
        _finish(inner, out, watch, loss_scale)
        return _detached(out)
    known = [None] * count if foreground is None else foreground.tensor_split(count)
    batches: Batches = list(
        zip(images.tensor_split(count), labels.tensor_split(count), known, strict=True)
    )
    plan = _plan(inner, batches)
    outs = []
    with plan.randomness():
        pairs = zip(batches, plan.directions, strict=True)
        for number, ((*batch, own), directions) in enumerate(pairs):
            last = number == count - 1
            with nullcontext() if last or parallel is None else parallel.no_sync():
                out = task(*batch, directions, own)
                _finish(inner, out, watch, loss_scale)
            outs.append(_detached(out))
    cross_entropy = torch.stack([out.cross_entropy for out in outs]).sum()
    logits = torch.cat([out.logits for out in outs])
    if isinstance(inner, SpatialIBTask):
        inner.step += inner.training
    if plan.terms is None:
        loss = torch.stack([out.loss for out in outs]).sum()
        pieces = {
            name: torch.stack([out.pieces[name] for out in outs]).sum() for name in outs[0].pieces
        }
        return TaskOutput(loss, logits, cross_entropy, None, pieces)
    weight = inner.every_n_steps
    pieces = {
        "foreground": weight * plan.terms.foreground_loss,
        "background": weight * plan.terms.background_loss,
    }
    loss = cross_entropy + weight * plan.terms.loss
    return TaskOutput(loss, logits, cross_entropy, plan.terms, pieces)


class Plan(NamedTuple):
    """What the first pass found."""

    directions: list[Directions]
    """One for each micro-batch."""
    terms: SpatialIBTerms | None
    """Of the whole batch."""
    randomness: Callable[[], Any]
    """Makes the context in which the second pass draws what the first one drew."""


def _plan(task: Any, batches: Batches) -> Plan:
    sizes = [len(labels) for _, labels, _ in batches]
    shares = [size / sum(sizes) for size in sizes]
    if not isinstance(task, SpatialIBTask) or not task.terms_are_due():
        return Plan([Directions(share) for share in shares], None, nullcontext)
    device = batches[0][0].device
    before = random_state(device)
    with _buffers_put_back(task.model):
        found = _parts(task, batches, shares)
    parts = ImageParts(*(_joined(values) for values in zip(*found, strict=True)))
    del found
    terms, gradients = _differentiate(task, parts)
    split = [gradient.split(sizes) for gradient in gradients]
    directions = [Directions(share, tuple(own)) for share, *own in zip(shares, *split, strict=True)]
    return Plan(directions, terms, lambda: replayed(before, device))


def _parts(task: SpatialIBTask, batches: Batches, shares: list[float]) -> list[ImageParts]:
    """Of each micro-batch; with their graphs, one after another, where the terms are balanced."""
    task.tell_step()
    if not task.objective.balance_is_due():
        return [
            task.parts(images, labels, create_graph=False, foreground=known)[1]
            for images, labels, known in batches
        ]
    found = []

    def passes() -> Iterator[tuple[float, Tensor, ImageParts]]:
        for share, (images, labels, known) in zip(shares, batches, strict=True):
            logits, parts = task.parts(images, labels, foreground=known)
            yield share, F.cross_entropy(at_least_float32(logits), labels), parts
            found.append(ImageParts(*(_detach(values) for values in parts)))
            del logits, parts

    task.objective.balance_on(passes())
    return found


def _detach(values: Any) -> Any:
    """A tensor, or a tuple of them, without graph."""
    return values.detach() if isinstance(values, Tensor) else tuple(v.detach() for v in values)


def _differentiate(task: SpatialIBTask, parts: ImageParts) -> tuple[SpatialIBTerms, Parts]:
    """The terms of the batch, and the gradients of their loss with respect to the parts."""
    leaves = [part.requires_grad_() for part in parts.differentiated()]
    terms = task.objective.terms(parts)
    gradients = torch.autograd.grad(task.every_n_steps * terms.loss, leaves)
    return SpatialIBTerms(*(value.detach() for value in terms)), gradients


def _joined(values: Sequence[Any]) -> Any:
    """One tensor, or one tuple of them, of all micro-batches."""
    if isinstance(values[0], Tensor):
        return torch.cat([value.detach() for value in values])
    return tuple(_joined(each) for each in zip(*values, strict=True))


def _finish(
    task: Any, out: TaskOutput, watch: Callable[[TaskOutput], None] | None, loss_scale: float
) -> None:
    # a caller's autocast is meant for the forward pass
    with torch.autocast(out.loss.device.type, enabled=False):
        if watch is not None:
            watch(out)
        task.backward(loss_scale * out.loss)


def _detached(out: TaskOutput) -> TaskOutput:
    terms = out.terms and SpatialIBTerms(*(value.detach() for value in out.terms))
    pieces = {name: piece.detach() for name, piece in out.pieces.items()}
    return TaskOutput(
        out.loss.detach(), out.logits.detach(), out.cross_entropy.detach(), terms, pieces
    )


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
