"""The classification loss that an objective's terms are added to."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

Criterion = Callable[[Tensor, Tensor], Tensor]
"""(logits (B, K), labels) → scalar."""


def is_cross_entropy(criterion: Criterion) -> bool:
    """Whether this criterion treats labels (B, K) as probabilities."""
    return criterion is F.cross_entropy or isinstance(criterion, nn.CrossEntropyLoss)


def is_mean_over_images(criterion: Criterion) -> bool:
    """Whether a batch's loss is known to be the mean over its parts, weighted by their sizes.

    Cross-entropy with class weights is not: it divides by the sum of its labels' weights.
    """
    if isinstance(criterion, nn.CrossEntropyLoss):
        return criterion.weight is None and criterion.reduction == "mean"
    if isinstance(criterion, nn.BCEWithLogitsLoss):
        return criterion.reduction == "mean"
    return criterion is F.cross_entropy
