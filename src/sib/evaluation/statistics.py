"""Intervals over images and seeds, by the bootstrap."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sib.utils.ratio import ratio

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
LEVEL = 0.95
# Replicates held at once: 200 × 50,000 images of float64 are 80 MB.
CHUNK = 200
NORMAL = 1.959964
"""97.5 % quantile of the standard normal distribution."""


class Interval(NamedTuple):
    """A mean and its interval."""

    mean: Array
    """(C,), NaN if no image has a value."""
    low: Array
    """(C,), 2.5 % quantile of the resampled means."""
    high: Array
    """(C,), 97.5 % quantile."""
    images: NDArray[np.int64]
    """(C,), number of images in the mean."""


class Difference(NamedTuple):
    """How much higher one group of runs scores than another on the same images."""

    mean: Array
    """(C,)."""
    low: Array
    """(C,), 2.5 % quantile of the resampled differences."""
    high: Array
    """(C,), 97.5 % quantile."""
    p: Array
    """(C,), twice the share of resampled differences on the other side of zero, at most 1."""
    images: NDArray[np.int64]
    """(C,), images with a value in every run."""


def mean_interval(
    values: Array, resamples: int = 2000, seed: int = 0, images: Indices | None = None
) -> Interval:
    """Mean over images with its 95 % percentile interval; NaN counts as missing.

    Args:
        values: (N, C), C scores of each of N images.
        resamples: bootstrap replicates, at least 1.
        seed: seed of the resampling.
        images: (N,), the image of each row, where an image may have several; its rows are drawn
            together. None if each row is an image of its own.

    Returns:
        `Interval`.

    Source: Efron & Tibshirani 1993, chapter 13 (percentile interval).
    """
    known = np.isfinite(values)
    filled = np.where(known, values, 0.0)
    sums, counts = sums_by_image(filled, images), sums_by_image(known.astype(float), images)
    replicates = [
        ratio(weights @ sums, weights @ counts)
        for weights in image_weights(len(sums), resamples, np.random.default_rng(seed))
    ]
    low, high = quantiles(np.concatenate(replicates))
    mean = ratio(filled.sum(axis=0), known.sum(axis=0))
    return Interval(mean, low, high, (counts > 0).sum(axis=0))


def sums_by_image(values: Array, images: Indices | None) -> Array:
    """(M, …) sums of the rows (N, …) of each image; the rows themselves if ``images`` is None."""
    if images is None:
        return values
    numbers, members = np.unique(images, return_inverse=True)
    found = np.zeros((len(numbers), *values.shape[1:]))
    np.add.at(found, members, values)
    return found


def share_interval(share: float, images: int) -> tuple[float, float]:
    """95 % interval of a share, which has a width even if all images agree.

    (p + z² / 2n ± z √(p (1 − p) / n + z² / 4n²)) / (1 + z² / n), z = 1.96. For a mean of values
    within [0, 1] it is wider than necessary, since their variance is at most p (1 − p).

    Args:
        share: p in [0, 1].
        images: n, at least 1.

    Returns:
        Its lower and upper end.

    Source: Wilson 1927.
    """
    square = NORMAL**2
    half = NORMAL * (share * (1 - share) / images + square / (4 * images**2)) ** 0.5
    centre, scale = share + square / (2 * images), 1 + square / images
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def paired_difference(
    first: Array,
    second: Array,
    paired_seeds: bool,
    resamples: int = 2000,
    seed: int = 0,
    rows: Indices | None = None,
) -> Difference:
    """Mean of ``second`` − ``first`` over images and seeds, with its 95 % percentile interval.

    Δ = mean_{t,i} second_ti − mean_{s,i} first_si over the images i that have a value in every
    run. Each replicate draws images with replacement, the same for all runs. It also draws seeds
    with replacement within each group, the same ones for both if the seeds are paired. A group with
    a single seed draws none, and the interval is then over images only.

    Args:
        first: (S, N, C), C scores of N images under S seeds.
        second: (T, N, C), of the same images.
        paired_seeds: whether run k has the same seed in both groups; needs S = T.
        resamples: bootstrap replicates, at least 1.
        seed: seed of the resampling.
        rows: (N,), the image of each row, as ``images`` in `mean_interval`.

    Returns:
        `Difference`.

    Source: Efron & Tibshirani 1993, chapters 8 and 13.
    """
    known = np.isfinite(first).all(axis=0) & np.isfinite(second).all(axis=0)
    a, b = (
        np.stack([sums_by_image(np.where(known, run, 0.0), rows) for run in group])
        for group in (first, second)
    )
    counts = sums_by_image(known.astype(float), rows)
    generator = np.random.default_rng(seed)
    replicates = []
    for weights in image_weights(a.shape[1], resamples, generator):
        of_a = seed_weights(len(a), len(weights), generator)
        of_b = of_a if paired_seeds else seed_weights(len(b), len(weights), generator)
        change = _over_seeds(b, weights, of_b) - _over_seeds(a, weights, of_a)
        replicates.append(ratio(change, weights @ counts))
    drawn = np.concatenate(replicates)
    low, high = quantiles(drawn)
    mean = ratio((b.mean(axis=0) - a.mean(axis=0)).sum(axis=0), known.sum(axis=0))
    return Difference(mean, low, high, two_sided(drawn), (counts > 0).sum(axis=0))


def image_weights(count: int, resamples: int, generator: np.random.Generator) -> Iterator[Array]:
    """How often each image is drawn in each replicate, in chunks (≤ CHUNK, count)."""
    for start in range(0, resamples, CHUNK):
        rows = min(CHUNK, resamples - start)
        drawn = generator.integers(count, size=(rows, count))
        drawn += count * np.arange(rows)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=rows * count)
        yield counts.reshape(rows, count).astype(np.float64)


def seed_weights(seeds: int, rows: int, generator: np.random.Generator) -> Array:
    """Share of each seed (rows, seeds) in each replicate."""
    return generator.multinomial(seeds, [1 / seeds] * seeds, size=rows) / seeds


def _over_seeds(group: Array, image_weights: Array, seed_weights: Array) -> Array:
    """Weighted sums (rows, C) over seeds and images."""
    sums = [
        seed_weights[:, [index]] * (image_weights @ scores) for index, scores in enumerate(group)
    ]
    return np.sum(sums, axis=0)


def quantiles(replicates: Array) -> tuple[Array, Array]:
    """2.5 % and 97.5 % quantiles of each column; NaN if a column has no value at all."""
    low, high = np.full((2, replicates.shape[1]), np.nan)
    for column, drawn in enumerate(replicates.T):
        if np.isfinite(drawn).any():
            low[column], high[column] = np.nanquantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return low, high


def two_sided(replicates: Array) -> Array:
    """Twice the smaller share on either side of zero; zero itself counts on both sides."""
    known = np.isfinite(replicates).sum(axis=0)
    below = ratio((replicates <= 0).sum(axis=0).astype(float), known)
    above = ratio((replicates >= 0).sum(axis=0).astype(float), known)
    return np.minimum(2 * np.minimum(below, above), 1.0)
