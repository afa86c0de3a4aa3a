"""The measures of a map by name, for whoever goes through them all."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from sib.metrics.localisation import (
    background_leakage,
    foreground_energy,
    pointing_game,
    relevance_rank_accuracy,
    top_pixel_iou,
)
from sib.metrics.sparseness import gini_sparseness


class MapMeasure(NamedTuple):
    """A measure of a map, and how to read it."""

    function: Callable[[Tensor, Tensor], Tensor]
    """(attribution, foreground) → (B,)."""
    higher_is_better: bool
    needs_foreground: bool


MAP_MEASURES = {
    "energy_pointing_game": MapMeasure(foreground_energy, True, True),
    "background_leakage": MapMeasure(background_leakage, False, True),
    "pointing_game": MapMeasure(pointing_game, True, True),
    "top_pixel_iou": MapMeasure(top_pixel_iou, True, True),
    "relevance_rank_accuracy": MapMeasure(relevance_rank_accuracy, True, True),
    "sparseness": MapMeasure(lambda attribution, _: gini_sparseness(attribution), True, False),
}
