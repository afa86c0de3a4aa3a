"""Terms that are added to the classification loss: S-IB, and the methods it is compared with.

Nothing is loaded until it is used.
"""

from typing import TYPE_CHECKING

from sib.utils.lazy import attach

if TYPE_CHECKING:
    from sib.objectives.base import Objective as Objective
    from sib.objectives.calibrated import CalibratedSpatialIB as CalibratedSpatialIB
    from sib.objectives.cgc import GradCAMConsistency as GradCAMConsistency
    from sib.objectives.energy import EnergyLoss as EnergyLoss
    from sib.objectives.parts import Parts as Parts
    from sib.objectives.parts import Terms as Terms
    from sib.objectives.per_image import PerImageObjective as PerImageObjective
    from sib.objectives.published import SpatialIB as SpatialIB
    from sib.objectives.right_reasons import RightReasons as RightReasons
    from sib.objectives.saliency_guided import SaliencyGuided as SaliencyGuided
    from sib.objectives.weighting import FixedWeights as FixedWeights
    from sib.objectives.weighting import GradientBalancer as GradientBalancer

if not TYPE_CHECKING:  # a checker would take any name for one of these
    __getattr__, __dir__, __all__ = attach(
        __name__,
        {
            "sib.objectives.base": ["Objective"],
            "sib.objectives.parts": ["Parts", "Terms"],
            "sib.objectives.calibrated": ["CalibratedSpatialIB"],
            "sib.objectives.cgc": ["GradCAMConsistency"],
            "sib.objectives.energy": ["EnergyLoss"],
            "sib.objectives.per_image": ["PerImageObjective"],
            "sib.objectives.published": ["SpatialIB"],
            "sib.objectives.right_reasons": ["RightReasons"],
            "sib.objectives.saliency_guided": ["SaliencyGuided"],
            "sib.objectives.weighting": ["FixedWeights", "GradientBalancer"],
        },
    )
