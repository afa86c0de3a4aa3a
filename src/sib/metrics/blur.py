"""A Gaussian blur whose cost does not grow with its width."""

import torch
from torch import Tensor

SHARE = 0.1
"""Default standard deviation, as a share of an image's shorter side; it hides an object."""


def gaussian_blur(images: Tensor, share: float = SHARE) -> Tensor:
    """Blur images with a Gaussian, reflected at the border.

    y = K_H x K_Wᵀ with row-normalised Gaussian matrices K, cut at three standard deviations.

    Args:
        images: (B, C, H, W), floating point.
        share: standard deviation σ as a share of the shorter side, above 0.

    Returns:
        (B, C, H, W).

    Example:
        >>> import torch
        >>> from sib.metrics.blur import gaussian_blur
        >>> gaussian_blur(torch.ones(1, 1, 4, 6)).allclose(torch.ones(1, 1, 4, 6))
        True
    """
    height, width = images.shape[-2:]
    sigma = share * min(height, width)
    reach = min(round(3 * sigma), min(height, width) - 1)
    down, across = (_matrix(size, sigma, reach).to(images) for size in (height, width))
    return down @ images @ across.T


def _matrix(size: int, sigma: float, reach: int) -> Tensor:
    """(size, size) weights of the pixels of a line in each blurred pixel."""
    offsets = torch.arange(-reach, reach + 1)
    weights = torch.exp(-0.5 * (offsets.double() / sigma) ** 2)
    pixels = (torch.arange(size)[:, None] + offsets).abs()
    pixels = torch.where(pixels < size, pixels, 2 * (size - 1) - pixels)
    matrix = torch.zeros(size, size, dtype=torch.float64)
    return matrix.scatter_add_(1, pixels, (weights / weights.sum()).expand(size, -1))
