"""A batch too large for the device, computed a few images at a time, with the same gradients."""

from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from sib.functional import checks
from sib.objectives.parts import Terms
from sib.tasks.checks import check_batch
from sib.tasks.first_pass import Batches, FirstPass, first_pass
from sib.tasks.output import StepOutput
from sib.tasks.task import Task


def accumulate(
    task: nn.Module,
    images: Tensor,
    labels: Tensor,
    micro_batch: int,
    watch: Callable[[StepOutput], None] | None = None,
    *,
    loss_scale: float | Tensor = 1.0,
    foreground: Tensor | None = None,
    step: int | None = None,
) -> StepOutput:
    """Accumulate the gradients of one batch while holding the graph of only a few images.

    If the loss is a mean over the images, its gradient is the mean over the micro-batches. HSIC
    couples the images of a batch, so its gradient is not such a mean. But the loss L depends on an
    image only through its parts v (the rows of HSIC, the variance of its background). A first pass
    computes all v without a graph, then ∂L/∂v. A second pass differentiates Σ ⟨∂L/∂v, v⟩ for each
    micro-batch. The gradients are those of the whole batch. The cost is 4/3 of the whole batch's:
    the first pass takes 2 units (forward, VJP) and the second 6. If the criterion is not a mean
    over the images, the logits are treated in the same way.

    Batch norm in train mode takes its statistics from each micro-batch, as in any gradient
    accumulation; the gradients are then those of a batch normalised in this way. Buffers change
    once per micro-batch, and dropout draws the same numbers in all passes.

    >>> import sib, torch
    >>> task = sib.Task(sib.models.SmallResNet(3), sib.SpatialIB())
    >>> images, labels = torch.randn(4, 3, 32, 32), torch.tensor([0, 1, 2, 1])
    >>> out = sib.accumulate(task, images, labels, micro_batch=2)

    Args:
        task: `Task`, or DistributedDataParallel around one; its processes exchange gradients once,
            in the last micro-batch.
        images: (B, C, H, W), as for the task.
        labels: (B,) or (B, K), as for the task.
        micro_batch: largest number of images whose graph is held at a time, at least 1. The batch
            is split into parts of nearly equal size.
        watch: called with the output of each micro-batch before its backward pass. Its losses are
            the micro-batch's shares of the batch's losses.
        loss_scale: factor of the gradients, as training in float16 needs, a number or a scalar
            tensor; the returned output is not scaled.
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
        raise ValueError("micro_batch and a fraction below 1 cannot be combined: give one of them")
    if count <= 1:
        out: StepOutput = task(images, labels, foreground, step=step)
        _finish(inner, out, watch, loss_scale)
        return out.detach()
    check_batch(images, labels, values=False)  # the parts of a wrong shape would be named instead
    known = [None] * count if foreground is None else foreground.tensor_split(count)
    batches: Batches = list(
        zip(images.tensor_split(count), labels.tensor_split(count), known, strict=True)
    )
    step = inner.step if step is None else step
    first = first_pass(inner, batches, step)
    outs = []
    with first.randomness():
        for number, (batch, part) in enumerate(zip(batches, first.parts, strict=True)):
            last = number == count - 1
            with nullcontext() if last or parallel is None else parallel.no_sync():
                with inner.as_part_of_batch(part):
                    out = task(*batch)
                _finish(inner, out, watch, loss_scale)
            outs.append(out.detach())
    inner.take_step(step)
    return _whole(inner, outs, first)


def _whole(task: Task, outs: list[StepOutput], first: FirstPass) -> StepOutput:
    """The output of the batch from those of its micro-batches."""
    logits = torch.cat([out.logits for out in outs])
    cross_entropy = first.cross_entropy
    if cross_entropy is None:
        cross_entropy = _sum([out.cross_entropy for out in outs])
    terms = first.terms or _mean_terms(outs, [part.share for part in first.parts])
    if terms is None:
        return StepOutput(cross_entropy, logits, cross_entropy)
    return StepOutput.of(logits, cross_entropy, terms, task.every_n_steps)


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
    task: Task,
    out: StepOutput,
    watch: Callable[[StepOutput], None] | None,
    loss_scale: float | Tensor,
) -> None:
    # the caller's autocast is for the forward pass only
    with torch.autocast(out.loss.device.type, enabled=False):
        if watch is not None:
            watch(out)
        task.backward(loss_scale * out.loss)
