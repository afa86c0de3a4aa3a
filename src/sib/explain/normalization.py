"""Putting maps on a common scale, always by request."""

import torch
from torch import Tensor

from sib.functional import checks

NORMALIZATIONS = ("none", "max", "sum", "percentile")
PERCENTILE = 0.99


def normalize_maps(attribution: Tensor, normalize: str) -> Tensor:
    """Scale each map by a number of its own; signs stay, and a zero map stays zero.

    - ``"none"``: as it is.
    - ``"max"``: a / max|a|, in [−1, 1].
    - ``"sum"``: a / Σ|a|, so that magnitudes sum to 1.
    - ``"percentile"``: a / s cut to [−1, 1], s the 99th percentile of |a|, so that single
      outlying pixels do not darken the rest. Where s is 0, the largest |a| takes its place.

    Args:
        attribution: (B, H, W), floating point.
        normalize: one of the names above.

    Returns:
        (B, H, W).

    Raises:
        ValueError: an unknown name.
    """
    checks.choice("normalize", normalize, NORMALIZATIONS)
    if normalize == "none":
        return attribution
    magnitude = attribution.abs().flatten(1)
    scale = magnitude.sum(dim=1) if normalize == "sum" else magnitude.amax(dim=1)
    if normalize == "percentile":
        percentile = _percentile(magnitude)
        scale = torch.where(percentile > 0, percentile, scale)
    scaled = attribution / torch.where(scale > 0, scale, 1)[:, None, None]
    return scaled.clamp(-1, 1) if normalize == "percentile" else scaled


def _percentile(rows: Tensor) -> Tensor:
    """The smallest value with at least 99 % of its row at or below it.

    Not `torch.quantile`, which refuses rows of more than 2²⁴ entries.
    """
    rank = -(-rows.shape[1] * round(PERCENTILE * 100) // 100)
    return rows.kthvalue(rank, dim=1).values
