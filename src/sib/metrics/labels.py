"""Measures of a classifier with several labels an image."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from sib.functional.label_kinds import THRESHOLD
from sib.utils.ratio import ratio

Array = NDArray[np.float64]
LARGEST = 2**23
"""Most values of an array that is made at once: 64 MiB of float64."""


class LabelScores(NamedTuple):
    """How well labels are ranked and decided, each in [0, 1]."""

    map_macro: float
    """Average precision of each label over the images, a mean over the labels that any has."""
    map_micro: float
    """Average precision over all pairs of image and label."""
    f1_macro: float
    """F1 of each label at a probability of 0.5, a mean over the labels that any has or gets."""
    f1_micro: float
    """F1 over all pairs of image and label."""


def label_scores(probabilities: Tensor, labels: Tensor) -> LabelScores:
    """mAP and F1 of several labels an image.

    Average precision is Σ_n (r_n − r_{n−1}) q_n over the thresholds n, with precision q and recall
    r. F1 is 2qr / (q + r) where a label counts as present above a probability of 0.5.

    Args:
        probabilities: (N, K), in [0, 1].
        labels: (N, K), 0 or 1.

    Returns:
        `LabelScores`; NaN where no image has a label.

    Source: Everingham et al. 2010, The PASCAL VOC Challenge; as torchmetrics and scikit-learn
    compute them.
    """
    found = WeightedLabelScores(probabilities.cpu().numpy(), labels.cpu().numpy())
    return LabelScores(*found(np.ones((1, len(labels))))[0].tolist())


class WeightedLabelScores:
    """`label_scores` of images that count several times or not at all, as a bootstrap draws them.

    Written here because the metrics of torchmetrics take no weights.

    Args:
        probabilities: (N, K), in [0, 1].
        labels: (N, K), 0 or 1.
    """

    def __init__(self, probabilities: ArrayLike, labels: ArrayLike) -> None:
        p, y = np.asarray(probabilities), np.asarray(labels).astype(bool)
        self.images, self.labels = p.shape
        self._each = [_Ranking(p[:, k], y[:, k], np.arange(self.images)) for k in range(p.shape[1])]
        self._pairs = _Ranking(p.ravel(), y.ravel(), np.arange(self.images).repeat(self.labels))
        decided = p > THRESHOLD
        self._true, self._either = (decided & y).astype(float), decided.astype(float) + y

    def __call__(self, weights: Array) -> Array:
        """The scores for each of R sets of weights.

        Args:
            weights: (R, N), how often each image counts.

        Returns:
            (R, 4), in the order of `LabelScores`; NaN where no image has a label.
        """
        rows = max(1, LARGEST // max(1, self.images * self.labels))
        parts = [self._scores(weights[i : i + rows]) for i in range(0, len(weights), rows)]
        return np.concatenate(parts)

    def _scores(self, weights: Array) -> Array:
        precision = np.stack([ranking.average_precision(weights) for ranking in self._each], axis=1)
        true, either = weights @ self._true, weights @ self._either
        columns = (
            _mean(precision),
            self._pairs.average_precision(weights),
            _mean(ratio(2 * true, either)),
            ratio(2 * true.sum(axis=1), either.sum(axis=1)),
        )
        return np.stack(columns, axis=1)


class _Ranking:
    """Images by falling probability; images of equal probability share a threshold.

    Args:
        probabilities: (M,).
        present: (M,), whether the image has the label.
        images: (M,), indices of the images.
    """

    def __init__(self, probabilities: Array, present: NDArray[Any], images: NDArray[Any]) -> None:
        order = np.argsort(-probabilities, kind="stable")
        falling = -probabilities[order]
        self.images, self.present = images[order], present[order]
        self.found = np.flatnonzero(self.present)
        self.last = np.searchsorted(falling, falling[self.found], side="right") - 1

    def average_precision(self, weights: Array) -> Array:
        """(R,) for weights (R, N)."""
        own = weights[:, self.images]
        hits, shown = (own * self.present).cumsum(axis=1), own.cumsum(axis=1)
        precision = ratio(hits[:, self.last], shown[:, self.last])
        # an image that counts 0 times may come before all others, where nothing is shown
        sums = (own[:, self.found] * np.nan_to_num(precision)).sum(axis=1)
        return ratio(sums, hits[:, -1])


def _mean(values: Array) -> Array:
    """Mean over the columns (R, K) that have a value; NaN where none has one."""
    known = np.isfinite(values)
    return ratio(np.where(known, values, 0.0).sum(axis=1), known.sum(axis=1).astype(float))
