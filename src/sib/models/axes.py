"""Which axes of a layer's output are places and which are features, found from a forward pass."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sib.models.locality import follows_the_image
from sib.models.trace import Trace

Reshape = Callable[[Tensor], Tensor]
Grid = tuple[int, int]

ADVICE = "give layer= another one, or reshape= a function that makes a feature map of its output"
ROWS_FIRST = "rows first"
"""Key of a trace's memory: the layer whose tokens an architecture is known to have row by row."""
MOST_EXTRA = 16
"""Largest number of class and register tokens that a transformer is assumed to have."""


@dataclass(frozen=True)
class ChannelsLast:
    """(B, h, w, C) → (B, C, h, w)."""

    def __call__(self, output: Tensor) -> Tensor:
        """The feature map."""
        return output.permute(0, 3, 1, 2)


@dataclass(frozen=True)
class Tokens:
    """(B, N, C) → (B, C, h, w), row by row, without the tokens that do not belong to a place."""

    grid: Grid
    """h, w."""
    extra: int
    """N − hw, the number of class and register tokens."""
    extra_first: bool = True
    """Whether these come before the tokens of places, or after them."""

    def __call__(self, tokens: Tensor) -> Tensor:
        """The feature map."""
        count = self.grid[0] * self.grid[1]
        first = tokens.shape[1] - count if self.extra_first else 0
        grid: Tensor = tokens[:, first : first + count].transpose(1, 2).unflatten(2, self.grid)
        return grid

    def code(self) -> str:
        """Source code of the same function, for use as ``reshape``."""
        count = self.grid[0] * self.grid[1]
        part = f"[:, {self.extra}:]" if self.extra_first else f"[:, :{count}]"
        return f"lambda t: t{part if self.extra else ''}.mT.unflatten(2, {self.grid})"


class Axes(NamedTuple):
    """How the output of a layer becomes a feature map."""

    layout: str
    """``"channels first"`` (B, C, h, w), ``"channels last"`` (B, h, w, C), ``"tokens"`` (B, N, C)
    or ``"given"``, if the caller gave the reshape."""
    reshape: Reshape | None
    """Output → (B, C, h, w); None if the output is one already."""


def find_axes(
    model: nn.Module, images: Tensor, name: str, found: Trace, rows_first: bool = False
) -> Axes:
    """The axes of a layer's output.

    For a module of torch with a defined layout, its type decides. Otherwise the axes of places are
    those whose sizes have the proportions of the image. A shape may leave more than one
    interpretation, and does not show the order of tokens. In these cases places of an image are
    changed: the right interpretation is the one whose map changes there.

    Args:
        model: classifier (B, C, H, W) → (B, K).
        images: (B, C, H, W) that it takes.
        name: name of the layer.
        found: `sib.models.trace.trace` of model and images.
        rows_first: whether the tokens are known to be row by row, after class and register tokens.
            Those of earlier stages in the same nn.Sequential are too.

    Returns:
        `Axes`.

    Raises:
        ValueError: the output has no places, or its axes are ambiguous.
    """
    known = found.memory.get(ROWS_FIRST, "")
    rows_first = rows_first or (bool(known) and name.startswith(f"{known}."))
    key = (name, rows_first)
    if key not in found.memory:
        found.memory[key] = _find_axes(model, images, name, found, rows_first)
    axes: Axes = found.memory[key]
    return axes


def _find_axes(model: nn.Module, images: Tensor, name: str, found: Trace, rows_first: bool) -> Axes:
    shape = found.shapes.get(name)
    if shape is None:
        raise ValueError(
            f"layer {name} gives a {found.kinds[name]} in place of one tensor: give layer= a "
            "module inside of it"
        )
    if len(shape) == 4:
        return _axes_of_map(model, images, name, shape)
    if len(shape) == 3 and shape[1] == 1:
        return Axes("tokens", Tokens((1, 1), 0))
    if len(shape) == 3:
        tokens = _token_readings(images, name, found)
        if rows_first and tokens:
            return Axes("tokens", tokens[0])
        for reading in tokens:
            if follows_the_image(model, images, name, reading, reading.grid):
                return Axes("tokens", reading)
    raise ValueError(_refusal(name, shape))


def _refusal(name: str, shape: torch.Size) -> str:
    got = ", ".join(["B", *map(str, shape[1:])])
    return (
        f"layer {name} must give a feature map (B, C, h, w), not ({got}), whose axes cannot be "
        f"matched to places of the image: {ADVICE}"
    )


def in_options(message: str) -> str:
    """A message about a layer with the option of the command line in place of the arguments."""
    message = message.replace(ADVICE, "name another module with --layer")
    message = message.replace("give layer= a module inside of it", "name a module inside of it")
    return re.sub(r"; for [^;,]+, reshape=.*$", "", message)


def _axes_of_map(model: nn.Module, images: Tensor, name: str, shape: torch.Size) -> Axes:
    first, last = Axes("channels first", None), Axes("channels last", ChannelsLast())
    module = model.get_submodule(name)
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d, nn.GroupNorm)):
        return first
    if type(module) in (nn.Linear, nn.LayerNorm):  # a subclass may move the axes
        return last
    size = (images.shape[2], images.shape[3])
    if shape[2:] == (1, 1) or shape[1:3] == (1, 1):
        return first if shape[2:] == (1, 1) else last
    grids = {first: (shape[2], shape[3]), last: (shape[1], shape[2])}
    fitting = [axes for axes, grid in grids.items() if keeps_proportions(grid, size)]
    if len(fitting) == 1:
        return fitting[0]
    shown = [
        axes
        for axes in fitting or grids
        if follows_the_image(model, images, name, axes.reshape, grids[axes])
    ]
    if len(shown) == 1:
        return shown[0]
    raise ValueError(_refusal(name, shape))


def keeps_proportions(grid: Grid, size: Grid) -> bool:
    """Whether one stride turns an image (H, W) into a map (h, w), up to one place at the border."""
    if any(cells > length for cells, length in zip(grid, size, strict=True)):
        return False
    smallest = max(length / (cells + 1) for cells, length in zip(grid, size, strict=True))
    largest = min(
        length / (cells - 1) if cells > 1 else float("inf")
        for cells, length in zip(grid, size, strict=True)
    )
    return smallest < largest


def _token_readings(images: Tensor, name: str, found: Trace) -> list[Tokens]:
    """Possible layouts of N tokens: the grid, and whether other tokens come before or after it."""
    count = found.shapes[name][1]
    size = (images.shape[2], images.shape[3])
    grid = _grid_of_tokens(count, size, _maps_before(name, found, size))
    if grid is None or count < 2:
        return []
    extra = count - grid[0] * grid[1]
    return [Tokens(grid, extra), *([Tokens(grid, extra, extra_first=False)] if extra else [])]


def _maps_before(name: str, found: Trace, size: Grid) -> list[Grid]:
    """Grids of the feature maps before a layer, the latest first."""
    names = list(found.shapes)
    shapes = [found.shapes[each] for each in names[: names.index(name)]]
    maps = [(shape[2], shape[3]) for shape in shapes if len(shape) == 4]
    return [grid for grid in maps[::-1] if keeps_proportions(grid, size)]


def _grid_of_tokens(count: int, size: Grid, maps: list[Grid]) -> Grid | None:
    """The grid of an earlier map, perhaps halved; otherwise one with the image's proportions."""
    halved = [(h >> k, w >> k) for k in range(6) for h, w in maps]
    halved += [(-(-h // 2**k), -(-w // 2**k)) for k in range(1, 6) for h, w in maps]
    halved.sort(key=lambda grid: count != grid[0] * grid[1])
    like_image = [
        (h, w) for h in range(count, 0, -1) for w in [count // h] if keeps_proportions((h, w), size)
    ]
    like_image.sort(key=lambda grid: (count - grid[0] * grid[1], _stretch(grid, size)))
    for h, w in (*halved, *like_image):
        if 0 <= count - h * w <= MOST_EXTRA and h * w > 1:
            return h, w
    return None


def _stretch(grid: Grid, size: Grid) -> float:
    """How far the cells of a grid are from being squares."""
    ratio = (size[0] / grid[0]) / (size[1] / grid[1])
    return max(ratio, 1 / ratio)
