"""Structural similarity (SSIM), an option for the foreground alignment."""

import torch
import torch.nn.functional as F
from torch import Tensor

from sib.functional import checks

WINDOW, SIGMA = 11, 1.5


def ssim(a: Tensor, b: Tensor, data_range: float = 1.0) -> Tensor:
    """Mean structural similarity of two batches of images.

    SSIM = (2 μa μb + c1)(2 σab + c2) / ((μa² + μb² + c1)(σa² + σb² + c2)). The moments are weighted
    by an 11 × 11 Gaussian window (σ = 1.5) at every position where the window fits into the image;
    c1 = (0.01 L)² and c2 = (0.03 L)².

    Args:
        a: (B, C, H, W), H and W at least 11.
        b: (B, C, H, W).
        data_range: L, the span of the values.

    Returns:
        A scalar in [−1, 1]; 1 for equal images.

    Raises:
        ValueError: the images are smaller than the window.

    Source: Wang et al. 2004, IEEE Trans. Image Processing 13(4).
    """
    if min(a.shape[-2:]) < WINDOW:
        raise ValueError(f"SSIM needs images of at least 11 × 11 pixels; got {checks.shape(a)}")
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    mean_a, mean_b = _blur(a), _blur(b)
    variance_a = _blur(a * a) - mean_a**2
    variance_b = _blur(b * b) - mean_b**2
    covariance = _blur(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    structure = (2 * covariance + c2) / (variance_a + variance_b + c2)
    return (luminance * structure).mean()


def _blur(images: Tensor) -> Tensor:
    offsets = torch.arange(WINDOW, device=images.device, dtype=images.dtype) - WINDOW // 2
    kernel = torch.softmax(-(offsets**2) / (2 * SIGMA**2), dim=0)
    channels = images.shape[1]
    rows = F.conv2d(images, kernel.expand(channels, 1, 1, WINDOW), groups=channels)
    return F.conv2d(rows, kernel[:, None].expand(channels, 1, WINDOW, 1), groups=channels)
