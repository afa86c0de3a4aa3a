"""From bytes to what a network is fed."""

from functools import cache

import torch
from torch import Tensor

from sib.config.choices import Normalization as Normalization

STATISTICS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
"""Mean and deviation of each channel, on images in [0, 1]."""


def normalise(images: Tensor, device: torch.device, normalization: Normalization) -> Tensor:
    """(x / 255 − mean) / deviation, channel by channel, on the device.

    Args:
        images: uint8 (B, 3, H, W).
        device: where they go before they become floats, a quarter of the bytes.
        normalization: a name in `STATISTICS`.

    Returns:
        float32 (B, 3, H, W).

    Source: arXiv 2511.09239, published scripts.
    """
    mean, deviation = _statistics(normalization, device)
    return images.to(device, non_blocking=True).float().div_(255).sub_(mean).div_(deviation)


@cache
def _statistics(normalization: str, device: torch.device) -> tuple[Tensor, Tensor]:
    """Mean and deviation (3, 1, 1), copied to the device once."""
    mean, deviation = STATISTICS[normalization]
    return (
        torch.tensor(mean, device=device).view(3, 1, 1),
        torch.tensor(deviation, device=device).view(3, 1, 1),
    )
