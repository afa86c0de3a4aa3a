"""How much of an explanation falls on the object."""

import torch
from torch import Tensor

from sib.functional import checks


def foreground_energy(attribution: Tensor, foreground: Tensor) -> Tensor:
    """Share of the positive attribution that falls inside the foreground.

    E = Σ_{ij ∈ foreground} max(a_ij, 0) / Σ_ij max(a_ij, 0), the energy-based pointing game. In
    [0, 1], larger is better; an attribution spread evenly scores the foreground's share of the
    area.

    Args:
        attribution: (B, H, W).
        foreground: (B, H, W), bool.

    Returns:
        (B,), NaN for an image without foreground or with no positive attribution.

    Raises:
        ValueError: the shapes do not fit, or ``foreground`` is not bool.

    Source: Wang et al. 2020, Score-CAM, section 4.3.
    """
    if attribution.ndim != 3 or attribution.shape != foreground.shape:
        raise ValueError(
            "attribution and foreground must both have shape (B, H, W); got "
            f"{checks.shape(attribution)} and {checks.shape(foreground)}"
        )
    if foreground.dtype != torch.bool:
        raise ValueError(f"foreground must be bool; got {foreground.dtype}")
    energy = attribution.clamp(min=0).flatten(1).double()
    inside = (energy * foreground.flatten(1)).sum(dim=1)
    known = foreground.flatten(1).any(dim=1)
    return torch.where(known, inside / energy.sum(dim=1), torch.nan).float()
