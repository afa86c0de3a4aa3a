"""Intervals of mAP and F1, which are not means over images, by the same bootstrap."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sib.evaluation.statistics import (
    Array,
    Difference,
    Interval,
    image_weights,
    quantiles,
    seed_weights,
    two_sided,
)
from sib.metrics.labels import LabelScores, WeightedLabelScores

NAMES = LabelScores._fields


def label_interval(
    probabilities: Array, labels: NDArray[Any], resamples: int = 2000, seed: int = 0
) -> Interval:
    """mAP and F1 with their 95 % percentile intervals over images.

    Each replicate draws images with replacement and computes the scores of those drawn.

    Args:
        probabilities: (N, K), in [0, 1].
        labels: (N, K), 0 or 1.
        resamples: bootstrap replicates, at least 1.
        seed: seed of the resampling.

    Returns:
        `Interval` of the 4 scores in the order of `LabelScores`.

    Source: Efron & Tibshirani 1993, chapter 13 (percentile interval).
    """
    scores = WeightedLabelScores(probabilities, labels)
    generator = np.random.default_rng(seed)
    drawn = [scores(weights) for weights in image_weights(len(labels), resamples, generator)]
    low, high = quantiles(np.concatenate(drawn))
    images = np.full(len(NAMES), len(labels))
    return Interval(scores(np.ones((1, len(labels))))[0], low, high, images)


def label_difference(
    first: Sequence[Array],
    second: Sequence[Array],
    labels: NDArray[Any],
    paired_seeds: bool,
    resamples: int = 2000,
    seed: int = 0,
) -> Difference:
    """mAP and F1 of ``second`` − ``first``, with 95 % percentile intervals.

    Images and seeds are drawn as in `paired_difference`.

    Args:
        first: (S) probabilities (N, K), a set for each seed.
        second: (T) probabilities of the same images.
        labels: (N, K), 0 or 1.
        paired_seeds: whether run k has the same seed in both groups; needs S = T.
        resamples: bootstrap replicates, at least 1.
        seed: seed of the resampling.

    Returns:
        `Difference` of the 4 scores in the order of `LabelScores`.
    """
    groups = [[WeightedLabelScores(p, labels) for p in group] for group in (first, second)]
    generator = np.random.default_rng(seed)
    replicates = []
    for weights in image_weights(len(labels), resamples, generator):
        of_a = seed_weights(len(first), len(weights), generator)
        of_b = of_a if paired_seeds else seed_weights(len(second), len(weights), generator)
        a, b = (_over_seeds(g, weights, s) for g, s in zip(groups, (of_a, of_b), strict=True))
        replicates.append(b - a)
    drawn = np.concatenate(replicates)
    once = np.ones((1, len(labels)))
    a, b = (_over_seeds(g, once, np.full((1, len(g)), 1 / len(g))) for g in groups)
    images = np.full(len(NAMES), len(labels))
    return Difference((b - a)[0], *quantiles(drawn), two_sided(drawn), images)


def _over_seeds(group: Sequence[WeightedLabelScores], weights: Array, seeds: Array) -> Array:
    """Weighted means (R, 4) over the seeds."""
    each = [seeds[:, [index]] * scores(weights) for index, scores in enumerate(group)]
    return np.sum(each, axis=0)
