"""How concentrated an explanation is."""

import torch
from torch import Tensor

from sib.functional.precision import to_float64
from sib.metrics.arguments import check_maps, scored


def gini_sparseness(attribution: Tensor) -> Tensor:
    """Gini index of the attribution's magnitude.

    G = Σ_{i=1}^n (2i − n − 1) |a|_(i) / (n Σ_i |a|_i), |a|_(1) ≤ … ≤ |a|_(n). 0 for an even map,
    1 − 1/n for a single pixel: in [0, 1), larger is sparser, which counts as better. Negative
    attribution counts by its magnitude. It needs no foreground, and says nothing about where the
    attribution lies.

    Args:
        attribution: (B, H, W).

    Returns:
        (B,), NaN for a zero map.

    Raises:
        ValueError: ``attribution`` is not a floating-point (B, H, W).

    Source: Chalasani et al. 2020, Concise explanations of neural networks; Hurley & Rickard 2009.

    Example:
        >>> import sib, torch
        >>> sib.metrics.gini_sparseness(torch.tensor([[[1.0, 1.0]], [[0.0, 5.0]]]))
        tensor([0.0000, 0.5000])
    """
    check_maps(attribution)
    ascending = to_float64(attribution.abs().flatten(1)).sort(dim=1).values
    n = ascending.shape[1]
    weights = 2 * torch.arange(1, n + 1, device=ascending.device) - n - 1
    return scored((weights * ascending).sum(dim=1) / (n * ascending.sum(dim=1)), ascending)
