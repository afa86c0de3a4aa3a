"""How much of a map lies outside the foreground, as a share that does not depend on its scale."""

import torch
import torch.nn.functional as F
from torch import Tensor

from sib.functional.precision import at_least_float32


def background_share(values: Tensor, mask: Tensor) -> Tensor:
    """Share of a non-negative map that lies outside the foreground, per image.

    ρ = Σ_p v_p (1 − M_p) / Σ_p v_p. It is differentiated through both sums, so shrinking v as a
    whole does not change it: ρ(c v) = ρ(v) for any c > 0.

    Args:
        values: v ≥ 0, (B, 1, H, W), any scale from 1e-30 to 1e30 in float32.
        mask: M in [0, 1], (B, 1, H, W).

    Returns:
        (B,), in [0, 1]. If v is zero everywhere: 1 − mean M, the share of a constant map, without
        gradient.
    """
    values = divide_by_max(values)
    outside = (values * (1 - mask)).flatten(1).sum(dim=1)
    total = values.flatten(1).sum(dim=1)
    even = (1 - mask).detach().flatten(1).mean(dim=1)
    # a NaN total stays NaN, so that a loop that checks its loss sees it
    return torch.where(total == 0, even, outside / torch.where(total == 0, 1, total))


def energy(R: Tensor) -> Tensor:
    """Σ_c R_c² up to one constant factor per image, (B, C, H, W) → (B, 1, H, W)."""
    return divide_by_max(at_least_float32(R)).square().sum(dim=1, keepdim=True)


def positive_attribution(features: Tensor, gradient: Tensor) -> Tensor:
    """How much each place of a layer supports a decision: Σ_c relu(G_c F_c), up to a factor.

    To first order, G_c F_c is the amount by which the output falls when that feature is set to
    zero. Features that support the decision count in full, even where other features at the same
    place oppose it. For F ≥ 0 this is LayerCAM. Grad-CAM instead averages G over the places and
    takes the positive part of the sum.

    Args:
        features: F, (B, C, h, w).
        gradient: G, of the output with respect to F, (B, C, h, w).

    Returns:
        (B, 1, h, w), at least 0.

    Source: Jiang et al. 2021 (LayerCAM, 10.1109/TIP.2021.3089943), for features of any sign.
    """
    features, gradient = (divide_by_max(at_least_float32(v)) for v in (features, gradient))
    return (features * gradient).relu().sum(dim=1, keepdim=True)


def downsample(mask: Tensor, like: Tensor) -> Tensor:
    """Mean of a mask (B, 1, H, W) over the area of each place in a coarser map (B, ·, h, w)."""
    height, width = like.shape[-2:]
    return F.adaptive_avg_pool2d(mask, (height, width))


def upsample(values: Tensor, like: Tensor) -> Tensor:
    """A map (B, 1, h, w) enlarged bilinearly to the size of another, as class activation maps are.

    `metrics.foreground_energy` measures a share of the enlarged map.
    """
    return F.interpolate(values, like.shape[-2:], mode="bilinear", align_corners=False)


def divide_by_max(values: Tensor) -> Tensor:
    """Values divided by the largest |value| of their image, a constant; squares stay in range."""
    largest = values.detach().flatten(1).abs().amax(dim=1)
    factor = torch.where(largest > torch.finfo(values.dtype).tiny, 1 / largest, 0)
    return values * factor[:, None, None, None]
