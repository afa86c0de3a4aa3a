"""Foreground where the VJP at the image and the one at the last stage agree."""

import torch
import torch.nn.functional as F
from torch import Tensor

from sib.functional.mask import check_window, window_mean
from sib.functional.ratio import energy, of_order_one


@torch.no_grad()
def agreed_foreground(R: Tensor, evidence: Tensor, window_size: int, area: float = 0.2) -> Tensor:
    """The part of each image where both explanations are strongest.

    v = √(e r), e the evidence of the last stage, enlarged bilinearly, r the mean of Σ_c R_c² over a
    window × window neighbourhood, padding not counted, each divided by its largest value;
    M = 1 on the pixels whose v is among the largest ``area`` of their image, 0 elsewhere. The last
    stage is coarse but tells object from background early in training; R is fine but noisy.

    Args:
        R: (B, C, H, W), any scale.
        evidence: (B, 1, h, w), at least 0, any scale.
        window_size: side of the window in pixels, 1 to min(H, W).
        area: share of the pixels, in (0, 1).

    Returns:
        M, (B, 1, H, W), without gradient; 0 everywhere where v is constant.

    Raises:
        ValueError: the window is larger than the image.
    """
    check_window(window_size, R)
    fine = window_mean(energy(R), window_size, count_include_pad=False)
    coarse = F.interpolate(evidence, R.shape[-2:], mode="bilinear", align_corners=False)
    both = (of_order_one(fine) * of_order_one(coarse)).clamp_min(0)  # v², of the same order
    rows = both.flatten(1)
    rank = max(1, round((1 - area) * rows.shape[1]))
    threshold = rows.kthvalue(rank, dim=1, keepdim=True).values[..., None, None]
    return (both > threshold).to(both.dtype)
