"""The training steps that the benchmarks time, all on one model and one batch."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import naive
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import sib
from sib.models import build
from sib.tasks.graphed import EAGER_STEPS

WEIGHTS = (0.01, 1000.0)
CLASSES = 100
PRECISIONS = ("float32", "tf32", "bfloat16")
Step = Callable[[], None]


@dataclass(frozen=True)
class Setting:
    """What a step computes on."""

    architecture: str
    side: int
    batch: int
    precision: str = "float32"
    channels_last: bool = False
    frozen: bool = False
    """Batch norm with its running statistics; its weights still train."""


@dataclass(frozen=True)
class Problem:
    """A model in train mode and a batch for it."""

    setting: Setting
    model: nn.Module
    images: Tensor
    labels: Tensor

    @staticmethod
    def make(setting: Setting, device: torch.device) -> "Problem":
        """Random weights and images.

        Raises:
            sib.InputError: an architecture that cannot be built here.
        """
        torch.manual_seed(0)
        model = build(setting.architecture, CLASSES, setting.side).to(device).train()
        shape = (setting.batch, 3, setting.side, setting.side)
        images = torch.randn(shape, device=device)
        if setting.channels_last:
            model = model.to(memory_format=torch.channels_last)
            images = images.contiguous(memory_format=torch.channels_last)
        if setting.frozen:
            for module in batch_norms(model):
                module.eval()
        return Problem(
            setting, model, images, torch.randint(CLASSES, (setting.batch,), device=device)
        )

    def precision(self) -> AbstractContextManager[Any]:
        """Autocast where the setting asks for it; entered around a whole step, as training does."""
        device = self.images.device.type
        enabled = self.setting.precision == "bfloat16"
        return torch.autocast(device, dtype=torch.bfloat16, enabled=enabled)

    def forget(self) -> None:
        """Drop the gradients."""
        self.model.zero_grad(set_to_none=True)


def allow_tf32(allowed: bool) -> None:
    """Let matrix products and convolutions round to TF32, as torch's convolutions do by default."""
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed


def batch_norms(model: nn.Module) -> list[nn.Module]:
    """The batch norms of a model."""
    kind = nn.modules.batchnorm._BatchNorm
    return [module for module in model.modules() if isinstance(module, kind)]


def make_variants(
    name: str, side: int, batch: int, device: torch.device, modes: tuple[str, ...]
) -> dict[str, Step]:
    """Steps by name in float32; all share one model."""
    return make_steps(Problem.make(Setting(name, side, batch), device), modes)


def make_steps(problem: Problem, modes: tuple[str, ...]) -> dict[str, Step]:
    """Steps by name; each is made when it is first called, so that a refusal is its own failure."""
    makers: dict[str, Callable[[], Step]] = {
        "plain": lambda: _plain(problem),
        "naive": lambda: _naive(problem),
        "sib": lambda: _sib(problem),
        "checkpointed": lambda: _sib(problem, checkpoint=True),
        "half of the batch": lambda: _sib(problem, fraction=0.5),
        "plain graph": lambda: _graph(problem, None),
        "sib graph": lambda: _graph(problem, sib.SpatialIB(*WEIGHTS)),
    }
    for name, calibrated in (
        ("calibrated", _Calibrated(problem)),
        ("calibrated quarter", _Calibrated(problem, fraction=0.25)),
        ("calibrated graph", _CalibratedGraph(problem)),
    ):
        makers[f"{name}, unmeasured"] = _returned(calibrated.unmeasured)
        makers[f"{name}, measured"] = _returned(calibrated.measured)
    unknown = [mode for mode in modes if mode not in makers]
    if unknown:
        raise ValueError(f"modes must be among {', '.join(makers)}; got {', '.join(unknown)}")
    return {mode: _lazily(makers[mode]) for mode in dict.fromkeys(modes)}


def _returned(step: Step) -> Callable[[], Step]:
    return lambda: step


def _lazily(make: Callable[[], Step]) -> Step:
    made: list[Step] = []

    def step() -> None:
        if not made:
            made.append(make())
        made[0]()

    return step


def _plain(problem: Problem) -> Step:
    def step() -> None:
        problem.forget()
        with problem.precision():
            F.cross_entropy(problem.model(problem.images), problem.labels).backward()

    return step


def _naive(problem: Problem) -> Step:
    def step() -> None:
        problem.forget()
        with problem.precision():
            naive.step(problem.model, problem.images, problem.labels, WEIGHTS)

    return step


def _sib(problem: Problem, **options: Any) -> Step:
    task = sib.SpatialIBTask(problem.model, sib.SpatialIB(*WEIGHTS), validate=False, **options)
    return lambda: _take(problem, task)


def _graph(problem: Problem, objective: sib.SpatialIB | None) -> Step:
    replay = sib.GraphedStep(sib.Task(problem.model, objective, validate=False))
    for _ in range(EAGER_STEPS):
        _replay(problem, replay)
    return lambda: _replay(problem, replay)


def _replay(problem: Problem, replay: sib.GraphedStep, step: int | None = None) -> None:
    problem.forget()
    with problem.precision():
        replay(problem.images, problem.labels, step=step)


def _take(problem: Problem, task: sib.Task) -> None:
    problem.forget()
    with problem.precision():
        task.backward(task(problem.images, problem.labels).loss)


class _Calibrated:
    """The steps of one task that measure the weights of the terms, and those that do not."""

    def __init__(self, problem: Problem, **options: Any) -> None:
        self._problem, self._options = problem, options
        self._task: sib.Task | None = None

    def measured(self) -> None:
        self._step(0)

    def unmeasured(self) -> None:
        if self._task is None:
            self.measured()  # without it all weights are zero, and zeros may compute faster
        self._step(1)

    def _step(self, number: int) -> None:
        if self._task is None:
            self._task = self._make()
        self._task.step = number
        _take(self._problem, self._task)

    def _make(self) -> sib.Task:
        objective = sib.SpatialIB.calibrated()
        return sib.Task(self._problem.model, objective, validate=False, **self._options)


class _CalibratedGraph(_Calibrated):
    """The same from CUDA graphs."""

    _replays: sib.GraphedStep | None = None

    def _step(self, number: int) -> None:
        if self._task is None or self._replays is None:
            self._task = self._make()
            self._replays = sib.GraphedStep(self._task)
            for kind in [0] * EAGER_STEPS + [1] * EAGER_STEPS:
                _replay(self._problem, self._replays, kind)
        _replay(self._problem, self._replays, number)
