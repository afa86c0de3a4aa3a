"""Whether a map changes where the image changes."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from sib.models.mode import evaluation_mode

MOST_CELLS = 8
"""Largest number of places that are changed."""
NEEDED = 0.75
"""Share of the changes that must be largest in their own place."""


def follows_the_image(
    model: nn.Module,
    images: Tensor,
    name: str,
    reshape: Callable[[Tensor], Tensor] | None,
    grid: tuple[int, int],
) -> bool:
    """Whether a layer's output, interpreted as a map, changes where the image was changed.

    A noise image is changed in up to eight cells of the grid, one at a time. An interpretation
    passes if the map changes most in the changed cell for at least three quarters of them. On grids
    with sides of six cells or more, a neighbouring cell counts too. A map that changes at random
    places passes with a probability of 5 % on a 2 × 2 grid, less than 10⁻⁵ on a 4 × 4 grid and
    0.5 % on a 6 × 6 grid.

    Args:
        model: classifier (B, C, H, W) → (B, K).
        images: (B, C, H, W) that it takes; for their size alone.
        name: of the layer.
        reshape: output → (B, C, h, w), or None where it is one already.
        grid: (h, w).
    """
    generator = torch.Generator().manual_seed(0)
    base = torch.randn((1, *images.shape[1:]), generator=generator)
    cells = torch.randperm(grid[0] * grid[1], generator=generator)[:MOST_CELLS].tolist()
    batch = base.repeat(len(cells) + 1, 1, 1, 1)
    for row, cell in enumerate(cells, start=1):
        rows, columns = _block(cell, grid, (images.shape[2], images.shape[3]))
        batch[row, :, rows, columns] += 3 * torch.randn(
            batch[row, :, rows, columns].shape, generator=generator
        )
    output = _output(model, batch.to(images), name)
    maps = (output if reshape is None else reshape(output)).float()
    if maps.shape[2:] != grid:
        return False
    change = (maps[1:] - maps[:1]).abs().sum(dim=1)
    reach = max(grid) // 6
    hits = sum(_is_largest_at(part, cell, reach) for part, cell in zip(change, cells, strict=True))
    return hits >= NEEDED * len(cells)


def _block(cell: int, grid: tuple[int, int], size: tuple[int, int]) -> tuple[slice, slice]:
    """The pixels of a cell."""
    place = divmod(cell, grid[1])
    row, column = (
        slice(index * length // count, max(-(-(index + 1) * length // count), 1))
        for index, count, length in zip(place, grid, size, strict=True)
    )
    return row, column


def _output(model: nn.Module, images: Tensor, name: str) -> Tensor:
    """A layer's output."""
    kept: list[Tensor] = []
    handle = model.get_submodule(name).register_forward_hook(
        lambda module, inputs, output: kept.append(output)
    )
    try:
        with evaluation_mode(model), torch.no_grad():
            model(images)
    finally:
        handle.remove()
    return kept[-1]


def _is_largest_at(change: Tensor, cell: int, reach: int) -> bool:
    """Whether a change (h, w) is largest in a cell, or at most ``reach`` cells from it."""
    if not change.any():
        return False
    found = divmod(int(change.argmax()), change.shape[1])
    wanted = divmod(cell, change.shape[1])
    return all(abs(a - b) <= reach for a, b in zip(found, wanted, strict=True))
