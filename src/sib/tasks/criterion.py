"""The classification loss that an objective's terms are added to."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from sib.functional.label_kinds import SINGLE, set_label_kind
from sib.objectives.base import Objective

Criterion = Callable[[Tensor, Tensor], Tensor]
"""(logits (B, K), labels) → scalar."""
KNOWN_FUNCTIONS = (F.cross_entropy, F.binary_cross_entropy_with_logits)
"""Criteria that are functions: means over the images, without parameters of their own."""


def is_cross_entropy(criterion: Criterion) -> bool:
    """Whether this criterion treats labels (B, K) as probabilities."""
    return criterion is F.cross_entropy or isinstance(criterion, nn.CrossEntropyLoss)


def is_binary_cross_entropy(criterion: Criterion) -> bool:
    """Whether every output is a label of its own to this criterion."""
    return criterion is F.binary_cross_entropy_with_logits or isinstance(
        criterion, nn.BCEWithLogitsLoss
    )


def label_kind_of(criterion: Criterion) -> str | None:
    """What a criterion takes logits (B, K) for: ``"single"`` or ``"multi"``; None where unknown."""
    if is_binary_cross_entropy(criterion):
        return "multi"
    return "single" if is_cross_entropy(criterion) else None


def set_label_kind_of(criterion: Criterion, model: nn.Module, objective: Objective | None) -> None:
    """Let model and objective know what the logits mean, where the criterion says it."""
    kind = label_kind_of(criterion)
    if kind is None:
        return
    set_label_kind(model, kind)
    if objective is not None:
        objective.label_kind = kind


def criterion_loss(criterion: Criterion, logits: Tensor, labels: Tensor) -> Tensor:
    """The classification loss, a scalar; both criteria take a single logit as well.

    Args:
        criterion: of the task.
        logits: (B, K), float32 or better. Cross-entropy takes a single one as two classes.
        labels: (B,) classes or (B, K). Binary cross-entropy takes the classes 0 and 1 of a single
            logit as its label.

    Raises:
        ValueError: binary cross-entropy is given one class of many for each image.
    """
    if is_cross_entropy(criterion):
        return criterion(SINGLE.class_logits(logits), labels)
    if is_binary_cross_entropy(criterion) and labels.ndim == 1:
        if logits.shape[1] != 1:
            raise ValueError(
                f"labels must be floating point (B, {logits.shape[1]}) for binary cross-entropy, 1 "
                "for each label that is present; got one class for each image"
            )
        labels = labels[:, None].to(logits.dtype)
    return criterion(logits, labels)


def is_mean_over_images(criterion: Criterion) -> bool:
    """Whether a batch's loss is known to be the mean over its parts, weighted by their sizes.

    Cross-entropy with class weights is not: it divides by the sum of its labels' weights.
    """
    if isinstance(criterion, nn.CrossEntropyLoss):
        return criterion.weight is None and criterion.reduction == "mean"
    if isinstance(criterion, nn.BCEWithLogitsLoss):
        return criterion.reduction == "mean"
    return criterion in KNOWN_FUNCTIONS
