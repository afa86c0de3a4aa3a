"""Cross-entropy with smoothed labels and weighted classes."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sib.config.fine_tuning import FineTuningConfig
from sib.tasks.criterion import Criterion
from sib.utils.errors import InputError


def make_criterion(
    config: FineTuningConfig, class_counts: Sequence[int], several: int | None = None
) -> Criterion:
    """The run's criterion.

    Args:
        config: the run's options; ``label_smoothing`` and ``class_weights`` are used.
        class_counts: (K,) number of training images in each class.
        several: number of training images, if each has several labels.

    Returns:
        ``torch.nn.functional.cross_entropy`` itself where neither option is set;
        `WeightedCrossEntropy` otherwise; `LabelLoss` for several labels an image.

    Raises:
        InputError: weights are balanced and a class has no training image.
    """
    balanced = config.class_weights == "balanced"
    if several is not None:
        weights = positive_weights(class_counts, several) if balanced else None
        return LabelLoss(config.label_smoothing, weights)
    if not balanced and not config.label_smoothing:
        return F.cross_entropy
    weights = balanced_weights(class_counts) if balanced else None
    return WeightedCrossEntropy(config.label_smoothing, weights)


def balanced_weights(class_counts: Sequence[int]) -> Tensor:
    """Class weights w_k = N / (K n_k), whose mean over the N training images is 1.

    Args:
        class_counts: (K,) number n_k of images in each class.

    Returns:
        float32 (K,).

    Raises:
        InputError: a class has no image.
    """
    if not class_counts:
        raise ValueError("class_counts must give the number of images in each class; got none")
    empty = [place for place, count in enumerate(class_counts) if count < 1]
    if empty:
        raise InputError(
            f"--class-weights balanced needs training images of every class; class {empty[0]} has "
            "none"
        )
    total, classes = sum(class_counts), len(class_counts)
    return torch.tensor([total / (classes * count) for count in class_counts])


def positive_weights(class_counts: Sequence[int], images: int) -> Tensor:
    """w_k = (N − n_k) / n_k, so that present and absent weigh the same over the training images.

    Args:
        class_counts: (K,) images n_k with each label.
        images: N.

    Returns:
        float32 (K,).

    Raises:
        InputError: no image has a label, or all have it.
    """
    for place, count in enumerate(class_counts):
        if not 0 < count < images:
            raise InputError(
                f"--class-weights balanced needs training images with and without every label; "
                f"label {place} is on {count} of {images}"
            )
    return torch.tensor([(images - count) / count for count in class_counts])


class LabelLoss(nn.BCEWithLogitsLoss):
    """Mean over images and labels of −w_k q log p − (1 − q) log(1 − p), p = σ(logits).

    A label y in [0, 1] becomes q = (1 − ε) y + ε / 2, spread over present and absent.

    Args:
        label_smoothing: ε in [0, 1).
        positive_weights: (K,) weights w of the present labels; 1 where not given.
    """

    def __init__(
        self, label_smoothing: float = 0.0, positive_weights: Tensor | None = None
    ) -> None:
        super().__init__(pos_weight=positive_weights)
        self.label_smoothing = label_smoothing

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The criterion of a batch; both (B, K)."""
        smooth = (1 - self.label_smoothing) * labels.to(logits.dtype) + self.label_smoothing / 2
        return super().forward(logits, smooth)


class WeightedCrossEntropy(nn.CrossEntropyLoss):
    """Mean over the images of w · CE(q, p), with p = softmax(logits).

    The label y of an image becomes the distribution q = (1 − ε) onehot(y) + ε / K, and
    CE(q, p) = −Σ_k q_k log p_k. A soft label replaces onehot(y). The weight w is w_y, or
    Σ_k onehot_k w_k for a soft label. It does not depend on the other images of a batch, so the
    mean over micro-batches equals that of the batch; torch's own class weights differ in this.

    Args:
        label_smoothing: ε in [0, 1).
        class_weights: (K,); all 1 by default.

    Source: label smoothing, arXiv 1512.00567, section 7.
    """

    class_weights: Tensor | None

    def __init__(self, label_smoothing: float = 0.0, class_weights: Tensor | None = None) -> None:
        super().__init__(label_smoothing=label_smoothing)
        if not 0 <= label_smoothing < 1:
            raise ValueError(
                f"label_smoothing must be at least 0 and below 1; got {label_smoothing}"
            )
        if class_weights is not None and not (class_weights >= 0).all():
            raise ValueError("class_weights must be at least 0 and not NaN")
        self.register_buffer("class_weights", class_weights, persistent=False)

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Compute the criterion of a batch.

        Args:
            logits: (B, K).
            labels: (B,) class numbers, or (B, K) soft labels, each row summing to 1.

        Returns:
            A scalar.

        Raises:
            ValueError: soft labels are negative or do not sum to 1.
        """
        classes = logits.shape[1]
        if labels.is_floating_point():
            check_soft_labels(labels, classes)
            target = labels.to(logits.dtype)
        else:
            target = F.one_hot(labels, classes).to(logits.dtype)
        smooth = (1 - self.label_smoothing) * target + self.label_smoothing / classes
        entropy = -(smooth * F.log_softmax(logits, dim=1)).sum(dim=1)
        if self.class_weights is not None:
            entropy = entropy * (target @ self.class_weights.to(target))
        return entropy.mean()


def check_soft_labels(labels: Tensor, classes: int) -> None:
    """Raise ValueError unless soft labels are (B, K), at least 0, and sum to 1 in each row."""
    if labels.ndim != 2 or labels.shape[1] != classes:
        raise ValueError(f"soft labels must be (B, {classes}); got {tuple(labels.shape)}")
    if len(labels) and not (labels >= 0).all():
        raise ValueError("soft labels must be at least 0 and not NaN")
    sums = labels.double().sum(dim=1)
    wrong = (sums - 1).abs() > 1e-3
    if wrong.any():
        row = int(wrong.nonzero()[0])
        value = sums[row].item()
        shown = f"{value:.4g}" if math.isfinite(value) else str(value)
        raise ValueError(
            f"soft labels must sum to 1 in each row; those of row {row} sum to {shown}"
        )
