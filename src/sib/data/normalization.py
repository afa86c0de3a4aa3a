"""From bytes to the input of a network."""

from functools import cache

import torch
from torch import Tensor

from sib.utils.normalization import Normalization, statistics


def normalise(images: Tensor, device: torch.device, normalization: Normalization) -> Tensor:
    """(x / 255 − mean) / deviation, channel by channel, on the device.

    Args:
        images: uint8 (B, 3, H, W).
        device: where they go before they become floats, which moves a quarter of the bytes.
        normalization: see `sib.utils.normalization.statistics`.

    Returns:
        float32 (B, 3, H, W).

    Source: arXiv 2511.09239, published scripts.
    """
    mean, deviation = _on_device(normalization, device)
    return images.to(device, non_blocking=True).float().div_(255).sub_(mean).div_(deviation)


@cache
def _on_device(normalization: str, device: torch.device) -> tuple[Tensor, Tensor]:
    """Mean and deviation (3, 1, 1), copied to the device once."""
    mean, deviation = statistics(normalization)
    return (
        torch.tensor(mean, device=device).view(3, 1, 1),
        torch.tensor(deviation, device=device).view(3, 1, 1),
    )
