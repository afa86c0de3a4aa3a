"""Scale maps to a common range, only on request."""

import torch
from torch import Tensor

from sib.functional import checks

NORMALIZATIONS = ("none", "max", "sum", "percentile")
PERCENTILE = 0.99


def normalize_maps(attribution: Tensor, normalize: str) -> Tensor:
    """Divide each map by its own scale; signs are kept, and a zero map stays zero.

    A map that contains NaN or an infinity becomes NaN, except under ``"none"``.

    - ``"none"``: not scaled.
    - ``"max"``: a / max|a|, in [−1, 1].
    - ``"sum"``: a / Σ|a|, so that magnitudes sum to 1.
    - ``"percentile"``: a / s clipped to [−1, 1], with s the 99th percentile of |a|, so that a few
      outlying pixels do not darken the rest. If s is 0, the largest |a| replaces it.

    Args:
        attribution: (B, H, W), floating point.
        normalize: one of the names above.

    Returns:
        (B, H, W).

    Raises:
        ValueError: an unknown name.

    Example:
        >>> import sib, torch
        >>> sib.explain.normalize_maps(torch.tensor([[[1.0, 2.0], [0.0, 4.0]]]), "max")
        tensor([[[0.2500, 0.5000],
                 [0.0000, 1.0000]]])
    """
    checks.choice("normalize", normalize, NORMALIZATIONS)
    if normalize == "none":
        return attribution
    largest = attribution.abs().flatten(1).amax(dim=1)
    largest = torch.where(largest.isfinite(), largest, torch.nan)
    # by the largest value first, since a sum of large or half-precision values could overflow
    scaled = attribution / torch.where(largest == 0, 1, largest)[:, None, None]
    if normalize == "max":
        return scaled
    magnitude = scaled.abs().flatten(1)
    scale = magnitude.sum(dim=1) if normalize == "sum" else _percentile(magnitude)
    scaled = scaled / torch.where(scale == 0, 1, scale)[:, None, None]
    return scaled.clamp(-1, 1) if normalize == "percentile" else scaled


def _percentile(rows: Tensor) -> Tensor:
    """The smallest value that at least 99 % of its row do not exceed.

    Not `torch.quantile`, which refuses rows of more than 2²⁴ entries.
    """
    rank = -(-rows.shape[1] * round(PERCENTILE * 100) // 100)
    return rows.kthvalue(rank, dim=1).values
