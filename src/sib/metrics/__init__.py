"""Measures of where an explanation lies, and of whether it is true to the model.

The functions of a map alone are here at once; what needs torchmetrics or captum is loaded when it
is first used, since that takes seconds.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sib.metrics.localisation import (
    background_leakage,
    foreground_energy,
    pointing_game,
    relevance_rank_accuracy,
    top_pixel_iou,
)
from sib.metrics.sparseness import gini_sparseness
from sib.metrics.table import MAP_MEASURES, MapMeasure

if TYPE_CHECKING:
    from sib.metrics.modules import (
        BackgroundLeakage,
        DeletionArea,
        EnergyPointingGame,
        InsertionArea,
        PointingGame,
        RelevanceRankAccuracy,
        Sparseness,
        TopPixelIoU,
    )
    from sib.metrics.perturbation import deletion_area, insertion_area, perturbation_curve
    from sib.metrics.randomisation import (
        Randomisation,
        parameter_randomisation,
        rank_correlation,
    )

_LATER = {
    "sib.metrics.modules": (
        "BackgroundLeakage",
        "DeletionArea",
        "EnergyPointingGame",
        "InsertionArea",
        "PointingGame",
        "RelevanceRankAccuracy",
        "Sparseness",
        "TopPixelIoU",
    ),
    "sib.metrics.perturbation": ("deletion_area", "insertion_area", "perturbation_curve"),
    "sib.metrics.randomisation": (
        "Randomisation",
        "parameter_randomisation",
        "rank_correlation",
    ),
}

__all__ = [
    "MAP_MEASURES",
    "BackgroundLeakage",
    "DeletionArea",
    "EnergyPointingGame",
    "InsertionArea",
    "MapMeasure",
    "PointingGame",
    "Randomisation",
    "RelevanceRankAccuracy",
    "Sparseness",
    "TopPixelIoU",
    "background_leakage",
    "deletion_area",
    "foreground_energy",
    "gini_sparseness",
    "insertion_area",
    "parameter_randomisation",
    "perturbation_curve",
    "pointing_game",
    "rank_correlation",
    "relevance_rank_accuracy",
    "top_pixel_iou",
]


def __getattr__(name: str) -> Any:
    for module, names in _LATER.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
