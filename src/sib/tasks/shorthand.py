"""Two tasks with names of their own: with the published objective, and without an objective."""

from typing import TypedDict, Unpack

from torch import nn

from sib.objectives.base import Objective
from sib.objectives.published import SpatialIB
from sib.tasks.criterion import Criterion
from sib.tasks.task import Task


class TaskOptions(TypedDict, total=False):
    """The keyword arguments of `Task`."""

    criterion: Criterion | None
    validate: bool
    every_n_steps: int
    fraction: float
    checkpoint: bool
    batch_norm: str


class SpatialIBTask(Task):
    """`Task` with an S-IB objective; the published one by default.

    Args:
        model: as in `Task`.
        objective: None for the published defaults.
        options: the keyword arguments of `Task`.

    Example:
        >>> import sib
        >>> sib.SpatialIBTask(sib.models.SmallResNet(3)).objective.background_weight
        1000.0
    """

    def __init__(
        self, model: nn.Module, objective: Objective | None = None, **options: Unpack[TaskOptions]
    ) -> None:
        super().__init__(model, SpatialIB() if objective is None else objective, **options)


class CrossEntropyTask(Task):
    """`Task` without an objective: the baseline.

    Args:
        model: as in `Task`.
        validate: as in `Task`.

    Example:
        >>> import sib
        >>> sib.CrossEntropyTask(sib.models.SmallResNet(3)).objective is None
        True
    """

    def __init__(self, model: nn.Module, *, validate: bool = True) -> None:
        super().__init__(model, validate=validate)
