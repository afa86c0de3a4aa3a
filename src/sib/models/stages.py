"""The stages of a network before its last one, whose maps have more places."""

from collections.abc import Sequence

from torch import Tensor, nn

from sib.models.axes import find_axes
from sib.models.chain import stands_in_a_chain
from sib.models.trace import trace

TOLERANCE = 0.1
"""How far a map's side may lie from a half, a quarter … of the image's: layers without padding."""


def finer_stages(model: nn.Module, images: Tensor, last: str, most: int = 3) -> list[str]:
    """Names of the layers that end the stages before the last one.

    A stage is all layers whose maps (B, C, h, w) have one size: a half, a quarter, … of the
    image's side. The name is that of the last one called through which everything passes. Such a
    layer stands in nn.Sequential alone, or beside the last stage, because a layer inside a block
    has paths around it. Layers that give anything else (tokens, channels last, attention between
    places) do not make a stage.

    Args:
        model: classifier (B, C, H, W) → (B, K).
        images: (B, C, H, W) that it takes; one of them passes through it, in evaluation mode.
        last: name of the layer that ends the last stage.
        most: largest number of stages.

    Returns:
        The next finer stage first; empty where there is none.
    """
    shapes = trace(model, images).shapes
    side = (images.shape[2], images.shape[3])
    coarsest = shapes.get(last)
    if coarsest is None or len(coarsest) != 4:
        return []
    ends: dict[int, str] = {}
    for name, shape in shapes.items():
        if len(shape) == 4 and shape[2] > coarsest[2] and shape[3] > coarsest[3]:
            halvings = _halvings(side, (shape[2], shape[3]))
            if halvings and stands_in_a_chain(model, name, last):
                ends[halvings] = name
    return [ends[halvings] for halvings in sorted(ends, reverse=True)][:most]


def given_stages(model: nn.Module, images: Tensor, names: Sequence[str]) -> list[str]:
    """Check the names of stages that a user gives.

    Returns:
        The names, as they came.

    Raises:
        ValueError: one is not a module that the model calls, is given twice, or gives no feature
            map (B, C, h, w).
    """
    found = trace(model, images)
    for index, name in enumerate(names):
        if name in names[:index]:
            raise ValueError(f"stages names {name} twice")
        if name not in found.kinds:
            raise ValueError(f"stages must be modules that the model calls; got {name!r}")
        if find_axes(model, images, name, found).reshape is not None:
            raise ValueError(
                f"stages must give feature maps (B, C, h, w); {name} gives "
                f"{tuple(found.shapes[name][1:])} with places on other axes"
            )
    return list(names)


def _halvings(side: tuple[int, int], size: tuple[int, int]) -> int:
    """How often an image was halved to become a map of this size; 0 for never, or for no map."""
    for halvings in range(1, max(side).bit_length()):
        expected = [length / 2**halvings for length in side]
        pairs = zip(size, expected, strict=True)
        if all(abs(found - each) < max(1, TOLERANCE * each) for found, each in pairs):
            return halvings
    return 0
