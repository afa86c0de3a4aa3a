"""Methods that S-IB is compared with, behind the contract of `sib.SpatialIBTask`."""

from sib.objectives.energy import EnergyTask
from sib.objectives.right_reasons import RightReasonsTask
from sib.objectives.rival import Rival
from sib.objectives.saliency_guided import SaliencyGuidedTask

RIVALS: dict[str, type[Rival]] = {
    "saliency_guided": SaliencyGuidedTask,
    "rrr": RightReasonsTask,
    "energy": EnergyTask,
}
"""By the names of ``sib train --method``."""

__all__ = ["RIVALS", "EnergyTask", "RightReasonsTask", "Rival", "SaliencyGuidedTask"]
