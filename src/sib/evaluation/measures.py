"""The measures that an evaluation takes, by name."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor, nn

from sib.metrics import MAP_MEASURES, deletion_area, insertion_area, parameter_randomisation


class Measure(NamedTuple):
    """A measure, and how to read it."""

    title: str
    """For the head of a column."""
    higher_is_better: bool
    needs_foreground: bool


MEASURES = {
    "energy_pointing_game": Measure("energy", True, True),
    "background_leakage": Measure("leakage", False, True),
    "pointing_game": Measure("pointing", True, True),
    "top_pixel_iou": Measure("top IoU", True, True),
    "relevance_rank_accuracy": Measure("rank", True, True),
    "sparseness": Measure("sparse", True, False),
    "insertion_area": Measure("insertion", True, False),
    "deletion_area": Measure("deletion", False, False),
    "parameter_randomisation": Measure("random", False, False),
}
DEFAULT = tuple(MAP_MEASURES)
LOCALISATION = tuple(name for name, measure in MEASURES.items() if measure.needs_foreground)

OF_THE_MODEL: dict[str, Callable[[nn.Module, Tensor, Tensor, Tensor], Tensor]] = {
    "insertion_area": insertion_area,
    "deletion_area": deletion_area,
}


def score(
    measure: str,
    method: str,
    model: nn.Module,
    images: Tensor,
    attribution: Tensor,
    targets: Tensor,
    foreground: Tensor,
) -> Tensor:
    """One measure of the maps of a batch.

    Args:
        measure: one of `MEASURES`.
        method: that gave the maps.
        model: that they explain.
        images: (B, C, H, W).
        attribution: (B, H, W).
        targets: (B,) explained classes.
        foreground: (B, H, W), bool, False everywhere where it is unknown.

    Returns:
        (B,), NaN for an image that has no value.
    """
    if measure in MAP_MEASURES:
        return MAP_MEASURES[measure].function(attribution, foreground)
    if measure in OF_THE_MODEL:
        return OF_THE_MODEL[measure](model, images, attribution, targets)
    return parameter_randomisation(model, images, targets, method, comparisons=1).correlation[-1]
