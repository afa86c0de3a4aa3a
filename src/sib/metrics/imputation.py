"""Removed pixels, filled in from the remaining ones."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sib.functional import checks

Array = NDArray[np.float64]
NEIGHBOURS = [
    (down, right, 1 / 6 if down * right == 0 else 1 / 12)
    for down in (-1, 0, 1)
    for right in (-1, 0, 1)
    if down or right
]
"""Rows down, columns to the right, and weight of each neighbour of a pixel."""


@torch.no_grad()
def impute(
    images: Tensor,
    removed: Tensor,
    *,
    noise: float = 0.0,
    seed: int = 0,
) -> Tensor:
    """Fill removed pixels with the weighted mean of their neighbours.

    The filled value of a removed pixel i solves Σ_j w_ij (x_i − x_j) = 0, the sum over its
    neighbours inside the image, with w = 1/6 for the four direct ones and 1/12 for the four
    diagonal ones. Neighbours that are removed themselves are unknowns of the same system. The fill
    is thus a discrete harmonic function that diffuses inwards from the remaining pixels. Gaussian
    noise keeps the filled area from being recognised by its smoothness.

    The sparse system of each image is solved exactly, in float64 on the CPU.

    Args:
        images: (B, C, H, W), floating point.
        removed: (B, 1, H, W), bool.
        noise: standard deviation of the noise on filled pixels, at least 0.
        seed: seed of the noise, which is the same for every image of a batch.

    Returns:
        (B, C, H, W), in the images' dtype; NaN for an image whose pixels are all removed.

    Raises:
        ValueError: the shapes do not match, or an argument is out of its range.

    Source: Rong et al. 2022, A consistent and efficient evaluation strategy for attribution
        methods (arXiv 2202.00449), section 4.2, noisy linear imputation.

    Example:
        >>> import torch
        >>> from sib.metrics.imputation import impute
        >>> row = torch.tensor([[[[0.0, 9.0, 9.0, 3.0]]]])
        >>> removed = torch.tensor([[[[False, True, True, False]]]])
        >>> impute(row, removed).round(decimals=4).tolist()
        [[[[0.0, 1.0, 2.0, 3.0]]]]
    """
    checks.image_batch("images", images)
    if removed.shape != images[:, :1].shape or removed.dtype != torch.bool:
        raise ValueError(
            f"removed must be bool of shape {tuple(images[:, :1].shape)}; got {removed.dtype} of "
            f"shape {checks.shape(removed)}"
        )
    if not isinstance(noise, (int, float)) or not 0 <= noise < float("inf"):
        raise ValueError(f"noise must be a finite number of at least 0; got {noise!r}")
    checks.whole_number("seed", seed, smallest=0)
    generator = torch.Generator().manual_seed(seed)
    drawn = noise * torch.randn(images.shape[1:], generator=generator, dtype=torch.float64)
    filled = images.clone()
    for image, mask in zip(filled, removed[:, 0], strict=True):
        if mask.all():
            image.fill_(torch.nan)
        elif mask.any():
            solution = torch.from_numpy(_solve(image.double().cpu().numpy(), mask.cpu().numpy()))
            image[:, mask] = (solution.T + drawn[:, mask.cpu()]).to(image)
    return filled


def _solve(image: Array, removed: Array) -> Array:
    """Values (U, C) for the U removed pixels of an image (C, H, W) that has others left."""
    from scipy.sparse import csc_matrix
    from scipy.sparse.linalg import splu

    _, height, width = image.shape
    y, x = np.nonzero(removed)
    number = np.full(removed.shape, -1)
    number[y, x] = np.arange(len(y))
    total, known = np.zeros(len(y)), np.zeros((len(y), len(image)))
    rows, columns, entries = [np.arange(len(y))], [np.arange(len(y))], [total]
    for down, right, weight in NEIGHBOURS:
        inside = (y + down >= 0) & (y + down < height) & (x + right >= 0) & (x + right < width)
        at = np.flatnonzero(inside)
        below, beside = y[at] + down, x[at] + right
        total[at] += weight
        other = number[below, beside]
        left = other < 0
        known[at[left]] += weight * image[:, below[left], beside[left]].T
        rows.append(at[~left])
        columns.append(other[~left])
        entries.append(np.full((~left).sum(), -weight))
    places = (np.concatenate(rows), np.concatenate(columns))
    matrix = csc_matrix((np.concatenate(entries), places), shape=(len(y), len(y)))
    # symmetric and diagonally dominant: no pivoting, and an ordering for symmetric matrices
    factors = splu(matrix, "MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    solution: Array = factors.solve(known)
    return solution
