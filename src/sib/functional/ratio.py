"""How much of a map lies outside of the foreground, as a share that no scale changes."""

import torch
import torch.nn.functional as F
from torch import Tensor

from sib.functional.precision import at_least_float32


def background_share(values: Tensor, mask: Tensor) -> Tensor:
    """Share of a non-negative map that lies outside of the foreground, per image.

    ρ = Σ_p v_p (1 − M_p) / Σ_p v_p. It is differentiated through both sums, so that making v
    smaller as a whole wins nothing: ρ(c v) = ρ(v) for any c > 0.

    Args:
        values: v ≥ 0, (B, 1, H, W), any scale from 1e-30 to 1e30 in float32.
        mask: M in [0, 1], (B, 1, H, W).

    Returns:
        (B,), in [0, 1]. Where v is zero: 1 − mean M, the share of an even map, without gradient.
    """
    values = of_order_one(values)
    outside = (values * (1 - mask)).flatten(1).sum(dim=1)
    total = values.flatten(1).sum(dim=1)
    even = (1 - mask).detach().flatten(1).mean(dim=1)
    return torch.where(total > 0, outside / torch.where(total > 0, total, 1), even)


def energy(R: Tensor) -> Tensor:
    """Σ_c R_c² up to a constant factor per image, (B, C, H, W) → (B, 1, H, W)."""
    return of_order_one(at_least_float32(R)).square().sum(dim=1, keepdim=True)


def evidence(features: Tensor, gradient: Tensor) -> Tensor:
    """What the places of a layer speak for a decision: relu(Σ_c G_c F_c), up to a constant factor.

    To first order, Σ_c G_c F_c at a place is what the output loses where its features are set to
    zero. Grad-CAM is the same with G averaged over the places, LayerCAM with relu(G).

    Args:
        features: F, (B, C, h, w).
        gradient: G, of the output with respect to F, (B, C, h, w).

    Returns:
        (B, 1, h, w), at least 0.

    Source: Draelos and Carin 2020 (HiResCAM, arXiv 2011.08891), with a ReLU.
    """
    features, gradient = (of_order_one(at_least_float32(v)) for v in (features, gradient))
    return (features * gradient).sum(dim=1, keepdim=True).relu()


def pooled(mask: Tensor, like: Tensor) -> Tensor:
    """Mean of a mask (B, 1, H, W) over the area of each place of a coarser map (B, ·, h, w)."""
    height, width = like.shape[-2:]
    return F.adaptive_avg_pool2d(mask, (height, width))


def of_order_one(values: Tensor) -> Tensor:
    """values over the largest |value| of their image, a constant: squares stay in range."""
    largest = values.detach().flatten(1).abs().amax(dim=1)
    factor = torch.where(largest > torch.finfo(values.dtype).tiny, 1 / largest, 0)
    return values * factor[:, None, None, None]
