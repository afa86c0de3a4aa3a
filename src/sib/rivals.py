"""Old names of the methods that S-IB is compared with; they will be removed after one release.

New code wraps an objective in `sib.Task`: ``sib.Task(model, sib.objectives.energy.EnergyLoss())``.
"""

from collections.abc import Callable

from torch import Tensor, nn

from sib.objectives.energy import EnergyLoss
from sib.objectives.right_reasons import RightReasons
from sib.objectives.saliency_guided import SaliencyGuided
from sib.objectives.weighting import Weighting
from sib.tasks.task import Task


def EnergyTask(
    model: nn.Module,
    weight: float = 1.0,
    at: str = "final",
    *,
    validate: bool = True,
    layer: str | None = None,
    reshape: Callable[[Tensor], Tensor] | None = None,
    weighting: Weighting | None = None,
) -> Task:
    """A task with `EnergyLoss`."""
    return Task(
        model,
        EnergyLoss(weight, at, layer=layer, reshape=reshape, weighting=weighting),
        validate=validate,
    )


def RightReasonsTask(model: nn.Module, weight: float = 1.0, *, validate: bool = True) -> Task:
    """A task with `RightReasons`."""
    return Task(model, RightReasons(weight), validate=validate)


def SaliencyGuidedTask(
    model: nn.Module, weight: float = 1.0, masked_share: float = 0.5, *, validate: bool = True
) -> Task:
    """A task with `SaliencyGuided`."""
    return Task(model, SaliencyGuided(weight, masked_share), validate=validate)
