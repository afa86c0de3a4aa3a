"""Checks at the boundary of the public functions, shared so that each is worded once."""

from collections.abc import Iterable

import torch
from torch import Tensor


def choice(name: str, value: object, allowed: Iterable[str]) -> None:
    """Raise unless ``value`` is one of the ``allowed`` names."""
    allowed = list(allowed)
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}; got {value!r}")


def positive(name: str, value: float) -> None:
    """Raise unless ``value`` is a finite number above zero."""
    if not isinstance(value, (int, float)) or not 0 < value < float("inf"):
        raise ValueError(f"{name} must be a finite number above 0; got {value!r}")


def at_least_zero(name: str, value: float) -> None:
    """Raise unless ``value`` is a finite number of at least zero."""
    if not isinstance(value, (int, float)) or not 0 <= value < float("inf"):
        raise ValueError(f"{name} must be a finite number of at least 0; got {value!r}")


def whole_number(name: str, value: object, smallest: int = 1) -> None:
    """Raise unless ``value`` is a whole number that is large enough."""
    if not isinstance(value, int) or isinstance(value, bool) or value < smallest:
        raise ValueError(f"{name} must be a whole number of at least {smallest}; got {value!r}")


def image_batch(name: str, tensor: Tensor) -> None:
    """Raise unless ``tensor`` is a floating-point batch (B, C, H, W) that is not empty."""
    if tensor.ndim != 4 or tensor.numel() == 0:
        raise ValueError(f"{name} must be a non-empty (B, C, H, W); got {shape(tensor)}")
    floating(name, tensor)


def foreground(
    tensor: Tensor, images: Tensor, look: bool = False, labels: int | None = None
) -> None:
    """Raise unless ``tensor`` is a foreground (B, 1, H, W) of the ``images``, bool or floating.

    With a number of ``labels`` K, (B, K, H, W) is allowed as well, one foreground for each.

    Its values must lie in [0, 1]. On a CPU this is always checked. On a GPU the check has to wait
    for the device, so it is made only if ``look`` is true.
    """
    expected = (images.shape[0], 1, *images.shape[-2:])
    if labels is not None and tensor.ndim == 4 and tensor.shape[1] != 1:
        expected = (images.shape[0], labels, *images.shape[-2:])
    if tensor.shape != expected or not (tensor.is_floating_point() or tensor.dtype == torch.bool):
        raise ValueError(
            f"foreground must be bool or floating point of shape {tuple(expected)}; got "
            f"{tensor.dtype} of shape {shape(tensor)}"
        )
    if tensor.is_floating_point() and (look or tensor.device.type == "cpu"):
        low, high = (value.item() for value in tensor.aminmax())
        if not (low >= 0 and high <= 1):
            raise ValueError(f"foreground must lie in [0, 1]; got {low:g} to {high:g}")


def floating(name: str, tensor: Tensor) -> None:
    """Raise unless ``tensor`` holds real floating-point numbers."""
    if not tensor.is_floating_point():
        raise ValueError(f"{name} must be floating point; got {tensor.dtype}")


def shape(tensor: Tensor) -> str:
    """The shape of a tensor as it is written in a message."""
    return str(tuple(tensor.shape))
