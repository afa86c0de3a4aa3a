"""A step replayed as one CUDA graph.

A step with terms consists of thousands of kernels. With small batches a GPU computes them faster
than a processor starts them. A CUDA graph holds all kernels of a step and is started by a single
call, so that the GPU alone sets the pace. The kernels are those of the ordinary step.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sib.tasks.accumulate import accumulate
from sib.tasks.output import StepOutput
from sib.tasks.task import Task

EAGER_STEPS = 2
"""Ordinary steps of each kind before its graph is captured, in which libraries choose kernels."""
MOST_GRAPHS = 8
"""Graphs of a task; further kinds of steps are taken as ordinary ones."""

Recorder = Callable[[Callable[[], list[Tensor]]], Callable[[], None]]
"""Captures what a function does on the GPU. What it returns does that again, in place."""


class CaptureFailed(ValueError):
    """A step that cannot be a CUDA graph, because its model waits for the GPU, for example."""


class GraphedStep:
    """Takes the forward and backward passes of a task from CUDA graphs.

    One graph is captured for each kind of step: shapes of the batch, with terms or without, weights
    of the terms and whether they are measured, mode of the model, trained parameters, autocast. The
    first two steps of each kind are ordinary ones. A graph keeps the memory of its step, which all
    graphs of a task share, and gradients of its own.

    Computations that wait for the GPU cannot be part of a graph. So the values of a batch are
    checked before it, and whether labels fit the logits is checked in ordinary steps only. The
    task's model must not wait either.

    A graph repeats what Python decided when it was captured, such as a random choice of the model's
    code. Apart from the weights of the terms, options of the objective and of the criterion must
    not change once there are graphs.

    >>> import sib, torch
    >>> task = sib.Task(sib.models.SmallResNet(3), sib.SpatialIB())
    >>> sib.GraphedStep(task)
    Traceback (most recent call last):
    ...
    ValueError: a CUDA graph needs a model on a CUDA GPU; this one is on cpu

    Args:
        task: `Task` on a CUDA GPU, not checkpointed, in a single process.

    Raises:
        ValueError: the model is not on a CUDA GPU, or the task is checkpointed.

    Source: https://pytorch.org/docs/stable/notes/cuda.html#cuda-graphs.
    """

    def __init__(self, task: Task, *, recorder: Recorder | None = None) -> None:
        device = next(task.model.parameters()).device
        if device.type != "cuda" and recorder is None:
            raise ValueError(f"a CUDA graph needs a model on a CUDA GPU; this one is on {device}")
        if task.checkpoint:
            raise ValueError("a step is replayed from a CUDA graph or checkpointed, not both")
        self.task, self.device = task, device
        self._record = recorder or _Captures()
        self._seen: Counter[Hashable] = Counter()
        self._graphs: dict[Hashable, _Graph] = {}

    def __call__(
        self,
        images: Tensor,
        labels: Tensor,
        foreground: Tensor | None = None,
        *,
        step: int | None = None,
        loss_scale: float = 1.0,
    ) -> StepOutput:
        """Take the forward and backward passes of one batch.

        The gradients are added to those that the parameters have.

        Args:
            images: (B, C, H, W), as for the task.
            labels: (B,) or (B, K), as for the task.
            foreground: (B, 1, H, W), as for the task.
            step: as for the task.
            loss_scale: factor of the gradients, as training in float16 needs; the returned output
                is not scaled.

        Returns:
            `StepOutput`, without graph.

        Raises:
            ValueError: as the task does.
            CaptureFailed: a kind of ValueError; the step cannot be captured.
        """
        task = self.task
        task.check(images, labels, foreground)
        step = task.step if step is None else step
        batch = _Batch(images, labels, foreground)
        kind = self._kind(batch, step)
        graph = self._graphs.get(kind)
        if graph is None and self._is_due(kind):
            graph = self._graphs[kind] = self._capture(batch, step)
        if graph is None:
            return self._eager(batch, step, loss_scale)
        self._save_gradients()
        out = graph.replay(batch, loss_scale)
        task.take_step(step)
        return out

    def _save_gradients(self) -> None:
        """Copy gradients that are still there, since every replay may overwrite those of graphs."""
        left = [p for p in self.task.parameters() if p.grad is not None]
        if not left:
            return
        captured = {id(own) for graph in self._graphs.values() for own in graph.gradients}
        for p in left:
            if p.grad is not None and id(p.grad) in captured:
                p.grad = p.grad.clone()

    def _is_due(self, kind: Hashable) -> bool:
        """Whether a kind of step is captured now."""
        self._seen[kind] += 1
        return self._seen[kind] > EAGER_STEPS and len(self._graphs) < MOST_GRAPHS

    def _kind(self, batch: "_Batch", step: int) -> Hashable:
        """Everything that decides which kernels a step consists of, and where."""
        task, device = self.task, self.device.type
        weights = {} if task.objective is None else task.objective.term_weights()
        return (
            tuple(
                each if each is None else (each.shape, each.stride(), each.dtype) for each in batch
            ),
            task.is_regularized_step(step),
            task.weights_are_due(step),
            tuple(weights.items()),
            tuple(module.training for module in task.modules()),
            tuple((p.data_ptr(), p.requires_grad) for p in task.parameters()),
            torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device),
        )

    def _eager(self, batch: "_Batch", step: int, loss_scale: float) -> StepOutput:
        with _side_stream(self.device):
            return self._take(batch, step, loss_scale)

    def _take(self, batch: "_Batch", step: int, loss_scale: float | Tensor) -> StepOutput:
        """The ordinary step of a whole batch."""
        images, labels, known = batch
        return accumulate(
            self.task,
            images,
            labels,
            len(images),
            loss_scale=loss_scale,
            foreground=known,
            step=step,
        )

    def _capture(self, batch: "_Batch", step: int) -> "_Graph":
        task = self.task
        parameters = [p for p in task.parameters() if p.requires_grad]
        known = batch.foreground
        static = _Batch(
            batch.images.detach().clone(),
            batch.labels.clone(),
            None if known is None else known.clone(),
        )
        scale = torch.ones((), device=self.device)
        before, found = [p.grad for p in parameters], []

        def compute() -> list[Tensor]:
            for p in parameters:
                p.grad = None
            out = self._take(static, step, scale)
            found.append((out, [p.grad for p in parameters]))
            return _tensors(*found[-1])

        validate, task.validate, number = task.validate, False, task.step
        torch.clear_autocast_cache()  # a graph must cast the weights itself
        try:
            again = self._record(compute)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[0]
            raise CaptureFailed(f"the step cannot be captured as a CUDA graph: {reason}") from error
        finally:
            torch.clear_autocast_cache()
            task.validate, task.step = validate, number
            for p, gradient in zip(parameters, before, strict=True):
                p.grad = gradient
        return _Graph(again, static, scale, *found[0], parameters)


def _tensors(out: StepOutput, gradients: list[Tensor | None]) -> list[Tensor]:
    found = [each for each in gradients if each is not None]

    def keep(tensor: Tensor) -> Tensor:
        found.append(tensor)
        return tensor

    out.map(keep)
    return found


class _Batch(NamedTuple):
    images: Tensor
    labels: Tensor
    foreground: Tensor | None


class _Graph(NamedTuple):
    """One captured step, with the memory that it reads and writes."""

    again: Callable[[], None]
    inputs: _Batch
    scale: Tensor
    out: StepOutput
    gradients: list[Tensor | None]
    parameters: list[nn.Parameter]

    def replay(self, batch: _Batch, loss_scale: float) -> StepOutput:
        for own, given in zip(self.inputs, batch, strict=True):
            if own is not None and given is not None:
                own.copy_(given)
        self.scale.fill_(loss_scale)
        self.again()
        for p, own in zip(self.parameters, self.gradients, strict=True):
            if own is not None:
                p.grad = own if p.grad is None else p.grad + own
        return self.out.map(Tensor.clone)


@contextmanager
def _side_stream(device: torch.device) -> Iterator[None]:
    """Compute on another stream, as torch asks for in the steps before a capture."""
    if device.type != "cuda":
        yield
        return
    current, side = torch.cuda.current_stream(device), torch.cuda.Stream(device)
    side.wait_stream(current)
    with torch.cuda.stream(side):
        yield
    current.wait_stream(side)
    torch.cuda.synchronize(device)  # what was allocated there is used here from now on


class _Captures:
    """Captures CUDA graphs that share their memory."""

    def __init__(self) -> None:
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, function: Callable[[], list[Tensor]]) -> Callable[[], None]:
        graph = torch.cuda.CUDAGraph()
        # other threads, such as those that pin memory, may use the GPU meanwhile
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            function()
        return graph.replay
