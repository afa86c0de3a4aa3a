"""RISE: how probable the class stays under many random masks."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from sib.explain.call import Call
from sib.functional.label_kinds import kind_of

CELLS = 7
"""Cells of a mask along a side, before it is enlarged."""
KEPT = 0.5
"""Probability that a cell is kept."""


@torch.no_grad()
def rise(call: Call) -> Tensor:
    """Mean probability of the class over the random masks that keep a pixel, (B, H, W), ≥ 0.

    a_ij = 1 / (N p) Σ_n p_t(x M_n + x′ (1 − M_n)) M_n,ij, with N = ``n_masks``, p = 0.5 and x′ the
    baseline. A mask M_n in [0, 1] is a grid of 7 × 7 cells, each 1 with probability p and otherwise
    0, enlarged bilinearly and shifted by less than a cell. All images get the same masks. No
    gradient is needed. The noise of a map falls with 1/√N; the paper uses N = 4000 to 8000.

    Source: Petsiuk et al. 2018, arXiv 1806.07421, equation 6 and section 3.2.
    """
    kind, images = kind_of(call.model), call.images.detach()
    baseline = call.options.baseline_for(images)
    total = torch.zeros_like(images[:, 0])
    for masks in _masks(call, images):
        for row, target in enumerate(call.targets.tolist()):
            shown = images[row] * masks + baseline[row] * (1 - masks)
            probability = kind.probabilities(call.forward(shown))[:, target]
            total[row] += torch.einsum("n,nhw->hw", probability, masks[:, 0])
    return total / (call.options.n_masks * KEPT)


def _masks(call: Call, images: Tensor) -> Iterator[Tensor]:
    """Masks (n, 1, H, W) of the images' size, in chunks.

    All random numbers are drawn first and on the CPU, so that masks depend neither on the size of
    the chunks nor on the device.
    """
    options, (height, width) = call.options, images.shape[2:]
    generator = torch.Generator().manual_seed(options.seed)
    shape = (options.n_masks, 1, CELLS, CELLS)
    grids = (torch.rand(shape, generator=generator) < KEPT).to(images)
    down, across = -(-height // CELLS), -(-width // CELLS)  # pixels of a cell
    tops = torch.randint(down, (options.n_masks,), generator=generator).tolist()
    lefts = torch.randint(across, (options.n_masks,), generator=generator).tolist()
    enlarged = ((CELLS + 1) * down, (CELLS + 1) * across)
    for start in range(0, options.n_masks, options.chunk_size):
        rows = range(start, min(start + options.chunk_size, options.n_masks))
        large = F.interpolate(
            grids[rows.start : rows.stop], enlarged, mode="bilinear", align_corners=False
        )
        yield torch.stack(
            [
                mask[:, tops[row] : tops[row] + height, lefts[row] : lefts[row] + width]
                for row, mask in zip(rows, large, strict=True)
            ]
        )
