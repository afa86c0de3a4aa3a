"""The mathematics of the Spatial Information Bottleneck: tensors in, tensors out, only torch."""

from sib.functional.dependence import hsic, random_projection
from sib.functional.exchange import exchange_backgrounds
from sib.functional.losses import (
    background_dependence,
    background_magnitude,
    background_variance,
    foreground_alignment,
)
from sib.functional.mask import foreground_mask
from sib.functional.quantile import soft_quantile
from sib.functional.reconstruction import reconstruct

__all__ = [
    "background_dependence",
    "background_magnitude",
    "background_variance",
    "exchange_backgrounds",
    "foreground_alignment",
    "foreground_mask",
    "hsic",
    "random_projection",
    "reconstruct",
    "soft_quantile",
]


def __dir__() -> list[str]:
    return sorted(__all__)
