"""What a run needs to continue: shared by all processes, and of each one."""

from typing import Any

import torch

from sib import distributed
from sib.tasks.task import Task
from sib.training.progress import EpochProgress


def objective_state(task: Task) -> dict[str, Any]:
    """What an objective has measured of its gradients; empty for other methods."""
    return {} if task.objective is None else task.objective.state_dict()


def restore_objective(task: Task, state: dict[str, Any] | None) -> None:
    """Restore what `objective_state` returned; None for a run from before that existed."""
    if task.objective is not None and state:
        task.objective.load_state_dict(state)


def process_state(progress: EpochProgress, task: Task, device: torch.device) -> dict[str, Any]:
    """What differs between processes: the progress of the epoch, and the random generators."""
    return {
        "progress": progress.state(),
        "random": torch.get_rng_state(),
        "random_projection": _projection_generator(task).get_state(),
        "random_cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
    }


def restore_process(
    states: list[dict[str, Any]], task: Task, device: torch.device
) -> EpochProgress:
    """Restore the random generators of this process, and return its progress.

    Args:
        states: those of all processes, as returned by `process_state`, by rank.
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
