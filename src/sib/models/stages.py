"""The stages of a network before its last one: where its maps still have more places."""

import torch
from torch import Tensor, nn

from sib.models.layers import recorded_shapes
from sib.models.mode import evaluation_mode

TOLERANCE = 0.1
"""How far a map's side may lie from a half, a quarter … of the image's: layers without padding."""


def finer_stages(model: nn.Module, images: Tensor, last: str, most: int = 3) -> list[str]:
    """Names of the layers that end the stages before the last one.

    A stage is all layers whose maps (B, C, h, w) are of one size, a half, a quarter, … of the
    image's side. The name is that of the last one called through which everything passes: one in
    nn.Sequential alone, or beside the last stage, since a layer inside of a block has paths around
    it. Layers that give anything else (tokens, channels last, attention between places) make no
    stage.

    Args:
        model: classifier (B, C, H, W) → (B, K).
        images: (B, C, H, W) that it takes; one of them passes through it, in evaluation mode.
        last: name of the layer that ends the last stage.
        most: largest number of stages.

    Returns:
        The next finer stage first; empty where there is none.
    """
    shapes: dict[str, torch.Size] = {}
    with evaluation_mode(model), torch.no_grad(), recorded_shapes(model, shapes):
        model(images[:1])
    side = (images.shape[2], images.shape[3])
    coarsest = shapes.get(last)
    if coarsest is None or len(coarsest) != 4:
        return []
    ends: dict[int, str] = {}
    for name, shape in shapes.items():
        if len(shape) == 4 and shape[2] > coarsest[2] and shape[3] > coarsest[3]:
            halvings = _halvings(side, (shape[2], shape[3]))
            if halvings and _stands_in_a_chain(model, name, last):
                ends[halvings] = name
    return [ends[halvings] for halvings in sorted(ends, reverse=True)][:most]


def _halvings(side: tuple[int, int], size: tuple[int, int]) -> int:
    """How often an image was halved to become a map of this size; 0 for never, or for no map."""
    for halvings in range(1, max(side).bit_length()):
        wanted = [length / 2**halvings for length in side]
        pairs = zip(size, wanted, strict=True)
        if all(abs(found - each) < max(1, TOLERANCE * each) for found, each in pairs):
            return halvings
    return 0


def _stands_in_a_chain(model: nn.Module, name: str, last: str) -> bool:
    """Whether every module around a layer is nn.Sequential, or stands around the last stage too.

    Classes made from nn.Sequential do not count: those that repeat are checkpointed as a whole, and
    then nothing inside of them is there to be differentiated.
    """
    shared = _around(last)
    return all(
        outer in shared or type(model.get_submodule(outer)) is nn.Sequential
        for outer in _around(name)
    )


def _around(name: str) -> set[str]:
    """Names of the modules that a module stands in."""
    parts = name.split(".")
    return {".".join(parts[:count]) for count in range(1, len(parts))}
