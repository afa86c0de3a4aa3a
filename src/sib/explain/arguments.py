"""Checks of the arguments, with messages that say what is allowed."""

from collections.abc import Sequence

import torch
from torch import Tensor

from sib.functional import checks

Targets = Tensor | Sequence[int] | int | None
"""Classes to explain, for each image or for all; None for the predicted ones."""


def broadcastable(name: str, value: float | Tensor, images: Tensor) -> None:
    """Raise unless ``value`` is a number or broadcasts to the images."""
    if not isinstance(value, Tensor):
        return
    try:
        torch.broadcast_to(value, images.shape)
    except RuntimeError:
        raise ValueError(
            f"{name} must be a number or broadcast to images {checks.shape(images)}; got "
            f"{checks.shape(value)}"
        ) from None


def resolve_targets(targets: object, logits: Tensor) -> Tensor:
    """Class indices (B,): the predicted classes for None, one class for all images for an int.

    Raises:
        ValueError: not B whole numbers, or one outside [0, K).
    """
    count, classes = logits.shape
    if targets is None:
        return logits.detach().argmax(dim=1)
    chosen = torch.as_tensor(targets, device=logits.device)
    if chosen.ndim == 0:
        chosen = chosen.expand(count)
    if chosen.is_floating_point() or chosen.dtype == torch.bool or chosen.shape != (count,):
        raise ValueError(
            f"targets must be None, one class or {count} classes as whole numbers; got "
            f"{chosen.dtype} of shape {checks.shape(chosen)}"
        )
    if ((chosen < 0) | (chosen >= classes)).any():
        raise ValueError(f"targets must be from 0 to {classes - 1}; got {chosen.tolist()}")
    return chosen.long()
