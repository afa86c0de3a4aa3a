"""Checks and helpers that all metrics of a map share."""

import torch
from torch import Tensor

from sib.functional import checks
from sib.functional.precision import to_float64


def check_maps(attribution: Tensor, foreground: Tensor | None = None) -> None:
    """Raise unless the maps, and the foregrounds if given, can be measured."""
    if foreground is None:
        if attribution.ndim != 3 or attribution.numel() == 0:
            raise ValueError(
                f"attribution must be a non-empty (B, H, W); got {checks.shape(attribution)}"
            )
    elif attribution.ndim != 3 or attribution.shape != foreground.shape or not attribution.numel():
        raise ValueError(
            "attribution and foreground must both have shape (B, H, W) and not be empty; got "
            f"{checks.shape(attribution)} and {checks.shape(foreground)}"
        )
    elif foreground.dtype != torch.bool:
        raise ValueError(f"foreground must be bool; got {foreground.dtype}")
    checks.floating("attribution", attribution)


def check_maps_of(images: Tensor, attribution: Tensor) -> None:
    """Raise unless there is one map (B, H, W) for each image (B, C, H, W)."""
    checks.image_batch("images", images)
    check_maps(attribution)
    if attribution.shape != images[:, 0].shape:
        raise ValueError(
            f"attribution must have shape (B, H, W) of images {checks.shape(images)}; got "
            f"{checks.shape(attribution)}"
        )


def positive_rows(attribution: Tensor) -> Tensor:
    """max(a, 0) as float64 rows (B, HW)."""
    return to_float64(attribution.clamp(min=0).flatten(1))


def scored(values: Tensor, rows: Tensor, foreground: Tensor | None = None) -> Tensor:
    """The values (B,) in float32, NaN where a row is zero or not finite, or has no foreground."""
    total = rows.sum(dim=1)
    known = (total > 0) & total.isfinite()
    if foreground is not None:
        known &= foreground.flatten(1).any(dim=1)
    return torch.where(known, values, torch.nan).float()
