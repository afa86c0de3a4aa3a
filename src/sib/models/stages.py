"""The stages of a network before its last one, whose maps have more places."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sib.models.axes import MOST_EXTRA, Reshape, find_axes
from sib.models.chain import embeds_patches, stands_in_a_chain
from sib.models.trace import Trace, trace

TOLERANCE = 0.1
"""How far a map's side may lie from a half, a quarter … of the image's: layers without padding."""

TRIES = 3
"""Number of layers of one size that are tried, last first, until one is a map of the image."""


def finer_stages(
    model: nn.Module, images: Tensor, last: str, most: int = 3, reshape: Reshape | None = None
) -> list[str]:
    """Names of the layers that end the stages before the last one.

    A stage is all layers whose maps have one size: a half, a quarter, … of the image's side. The
    maps are (B, C, h, w), (B, h, w, C) or tokens, as `find_axes` determines. A stage is named after
    its last called layer that all data passes through. Such a layer is contained only in
    nn.Sequential, or in modules that contain the last stage too; a layer inside a block has paths
    around it. Layers whose outputs have no places of the image, such as attention between places,
    do not form a stage, and neither does the patch embedding of a transformer.

    Args:
        model: classifier (B, C, H, W) → (B, K).
        images: (B, C, H, W) that it takes; one of them passes through it, in evaluation mode.
        last: name of the layer that ends the last stage.
        most: largest number of stages.
        reshape: output of ``last`` → (B, C, h, w); None where it is such a map.

    Returns:
        The next finer stage first; empty if there is none.
    """
    found = trace(model, images)
    coarsest = _last_grid(found, last, reshape)
    if coarsest is None:
        return []
    side = (images.shape[2], images.shape[3])
    ends: dict[int, list[str]] = {}
    for name, shape in found.shapes.items():
        fitting = {
            _halvings(side, grid)
            for grid in _grids(shape, side)
            if grid[0] > coarsest[0] and grid[1] > coarsest[1]
        }
        fits = bool(fitting - {0}) and stands_in_a_chain(model, name, last)
        if fits and not embeds_patches(model, name, last, found):
            for halvings in fitting - {0}:
                ends.setdefault(halvings, []).append(name)
    sizes = sorted(ends, reverse=True)
    named = (_last_with_places(model, images, ends[size], size, found) for size in sizes)
    return [name for name in named if name is not None][:most]


def given_stages(model: nn.Module, images: Tensor, names: Sequence[str]) -> list[str]:
    """Check the names of stages that a user gives.

    Returns:
        The names, unchanged.

    Raises:
        ValueError: one is not a module that the model calls, is given twice, or gives no feature
            map with more than one place.
    """
    found = trace(model, images)
    for index, name in enumerate(names):
        if name in names[:index]:
            raise ValueError(f"stages names {name} twice")
        if name not in found.kinds:
            raise ValueError(f"stages must be modules that the model calls; got {name!r}")
        shape = map_shape(found, name, find_axes(model, images, name, found).reshape)
        if shape[1] * shape[2] == 1:
            raise ValueError(
                f"stages must have more than one place; {name} has one for images of "
                f"{images.shape[2]} × {images.shape[3]}"
            )
    return list(names)


def map_shape(found: Trace, name: str, reshape: Reshape | None) -> tuple[int, ...]:
    """(C, h, w) of a layer's feature map; the shape of its output if that is not a map."""
    output = torch.zeros(found.shapes[name], device="meta")
    return tuple((output if reshape is None else reshape(output)).shape[1:])


def _last_grid(found: Trace, last: str, reshape: Reshape | None) -> tuple[int, int] | None:
    """h, w of the last stage."""
    shape = map_shape(found, last, reshape) if last in found.shapes else ()
    return (shape[1], shape[2]) if len(shape) == 3 else None


def _grids(shape: torch.Size, side: tuple[int, int]) -> set[tuple[int, int]]:
    """h, w of the feature maps that an output of this shape may be."""
    if len(shape) == 4:
        return {(shape[2], shape[3]), (shape[1], shape[2])}
    if len(shape) != 3:
        return set()
    halved = {(side[0] >> k, side[1] >> k) for k in range(1, min(side).bit_length())}
    return {(h, w) for h, w in halved if h * w <= shape[1] <= h * w + MOST_EXTRA}


def _last_with_places(
    model: nn.Module, images: Tensor, names: list[str], halvings: int, found: Trace
) -> str | None:
    """The last of some layers whose map is that of an image halved this many times."""
    side = (images.shape[2], images.shape[3])
    for name in names[: -TRIES - 1 : -1]:
        try:
            axes = find_axes(model, images, name, found)
        except ValueError:
            continue
        grid = map_shape(found, name, axes.reshape)[1:]
        if _halvings(side, (grid[0], grid[1])) == halvings:
            return name
    return None


def _halvings(side: tuple[int, int], size: tuple[int, int]) -> int:
    """How often an image was halved to become a map of this size; 0 for never, or for no map."""
    for halvings in range(1, max(side).bit_length()):
        expected = [length / 2**halvings for length in side]
        pairs = zip(size, expected, strict=True)
        if all(abs(found - each) < max(1, TOLERANCE * each) for found, each in pairs):
            return halvings
    return 0
