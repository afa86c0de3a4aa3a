"""The decisions of a classifier."""

import torch
from torch import Tensor, nn

from sib.explain.state import device_of, logits_of


def finite_logits(model: nn.Module, images: Tensor) -> Tensor:
    """Logits (B, K) in float64 on the CPU.

    Raises:
        ValueError: they are not finite.
    """
    logits = logits_of(model, images.to(device_of(model, images))).cpu().double()
    if not torch.isfinite(logits).all():
        raise ValueError("model gives logits that are not finite")
    return logits


def decisions(model: nn.Module, images: Tensor) -> Tensor:
    """Logits (B, K) in float64 on the CPU.

    Raises:
        ValueError: they are not finite, or there is one class only.
    """
    logits = finite_logits(model, images)
    if logits.shape[1] < 2:
        raise ValueError("model must have at least two classes; got one logit for each image")
    return logits
