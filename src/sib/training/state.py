"""What a run needs to continue: its place, its model, and what surrounds the model."""

from dataclasses import dataclass, field
from typing import Any

import torch

from sib import distributed
from sib.runs.state_file import FORMAT
from sib.tasks.task import Task
from sib.training.average import WeightAverage
from sib.training.diagnostics import TermMonitor
from sib.training.optimizer import Update
from sib.training.progress import EpochProgress


@dataclass
class Place:
    """How far a run has come."""

    epoch: int = 0
    """Number of finished epochs."""
    step: int = 0
    """Number of attempted steps."""
    best: dict[str, float] = field(default_factory=dict)
    """The best epoch so far, as returned by `best_record`; empty before the first."""


@dataclass(frozen=True)
class Learner:
    """The parts of a run that learn, and can be saved and restored.

    Args:
        task: holds the model and the objective.
        update: the optimiser, with its learning rate and its loss scale.
        average: of the weights, if one is kept.
        monitor: remembers the largest R.
        device: this process's device.
    """

    task: Task
    update: Update
    average: WeightAverage | None
    monitor: TermMonitor
    device: torch.device

    def state(self, place: Place, progress: EpochProgress) -> dict[str, Any]:
        """What `restore` needs, of all processes: tensors and plain values only."""
        own = _process_state(progress, self.task, self.device)
        objective = self.task.objective
        return {
            "format": FORMAT,
            "epoch": place.epoch,
            "step": place.step,
            "best": place.best,
            "largest_scale": self.monitor.largest_scale,
            "model": self.average.own if self.average else self.task.model.state_dict(),
            "objective": {} if objective is None else objective.state_dict(),
            **self.update.state(),
            **({"average": self.average.state()} if self.average else {}),
            "processes": distributed.all_gather_object(own),
        }

    def restore(self, state: dict[str, Any]) -> tuple[Place, EpochProgress]:
        """Restore what `state` returned; says where the run was, and how far in its epoch."""
        self.task.model.load_state_dict(state["model"])
        if self.task.objective is not None and state.get("objective"):  # older sib: none
            self.task.objective.load_state_dict(state["objective"])
        self.update.restore(state)
        if self.average:
            self.average.restore(state["average"])
        self.monitor.largest_scale = state.get("largest_scale", 0.0)
        progress = _restore_process(state["processes"], self.task, self.device)
        return Place(state["epoch"], state["step"], state["best"]), progress


def _process_state(progress: EpochProgress, task: Task, device: torch.device) -> dict[str, Any]:
    """What differs between processes: the progress of the epoch, and the random generators."""
    return {
        "progress": progress.state(),
        "random": torch.get_rng_state(),
        "random_projection": _projection_generator(task).get_state(),
        "random_cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
    }


def _restore_process(
    states: list[dict[str, Any]], task: Task, device: torch.device
) -> EpochProgress:
    """Restore the random generators of this process, and return its progress.

    Args:
        states: those of all processes, as returned by `_process_state`, by rank.
        task: the run's task.
        device: this process's device.
    """
    state = states[distributed.rank()]
    torch.set_rng_state(state["random"])
    _projection_generator(task).set_state(state["random_projection"])
    if state["random_cuda"] is not None and device.type == "cuda":
        torch.cuda.set_rng_state(state["random_cuda"], device)
    return EpochProgress.from_state(state["progress"], device)


def _projection_generator(task: Task) -> torch.Generator:
    generator = getattr(task.objective, "generator", None)
    return torch.default_generator if generator is None else generator
