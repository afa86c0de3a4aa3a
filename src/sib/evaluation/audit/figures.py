"""The figures of an audit, with intervals over images."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from sib.data.sample import Label, label_tensor
from sib.evaluation.audit.words import ORIGINAL, SEVERAL, SINGLE
from sib.evaluation.scores import Scores
from sib.evaluation.statistics import Array, Indices, mean_interval
from sib.metrics.behaviour import chance_recall, worst_accuracy
from sib.utils.ratio import ratio

SMALLEST = 10
"""Fewest images for an interval; with fewer, the bootstrap says little."""
NAMES = {
    "correct": "accuracy",
    "changed": "changed",
    "added": "added",
    "log_odds_change": "log_odds_change",
}
"""Figures that are means, and the per-image value behind each."""


def figures(
    scores: Scores, classes: list[str], groups: list[str] | None, resamples: int = 2000
) -> dict[str, dict[str, Any]]:
    """The figures of each condition, beginning with the unchanged images.

    Args:
        scores: scores of the images.
        classes: (K,) names by label.
        groups: names by index; None if no groups are known.
        resamples: bootstrap replicates.

    Returns:
        By condition: ``title``, ``images`` with a value, ``without_value`` (images with a
        foreground that cannot be changed in this way), ``accuracy``, ``worst_class``,
        ``worst_group`` and, except for the unchanged images, ``changed`` and ``log_odds_change``.
        Each is a mean with ``low`` and ``high``, None if there is none. With several labels an
        image, ``without_value`` counts pairs of image and label, and there is ``added``.
    """
    images = images_of(scores)
    words = SINGLE if images is None else SEVERAL
    interval = mean_interval(scores.values, resamples, images=images)
    found: dict[str, dict[str, Any]] = {}
    scored = int(np.isfinite(scores.column(ORIGINAL, "correct")).sum())
    for index, (condition, value) in enumerate(scores.columns):
        if value not in NAMES:
            continue
        row = found.setdefault(condition, {"title": words.title(condition)})
        row[NAMES[value]] = entry(*(part[index] for part in interval))
        if value == "correct":
            known = int(np.isfinite(scores.values[:, index]).sum())
            row |= {"images": int(interval.images[index]), "without_value": scored - known}
            row |= _worst(scores, condition, classes, groups, resamples)
    return found


def images_of(scores: Scores) -> Indices | None:
    """(N,) the image of each row; None for one class an image, where each row is one."""
    if (ORIGINAL, "label") not in scores.columns:
        return None
    return np.unique(scores.names, return_inverse=True)[1]


def classes_of(scores: Scores) -> np.ndarray:
    """(N,) the class that each row is about; of several labels its own, −1 for none."""
    if (ORIGINAL, "label") not in scores.columns:
        return np.array(scores.labels)
    return np.nan_to_num(scores.column(ORIGINAL, "label"), nan=-1)


def first_rows(scores: Scores) -> np.ndarray:
    """The first row of each image, in order."""
    return np.sort(np.unique(scores.names, return_index=True)[1])


def gaps(scores: Scores, resamples: int = 2000) -> dict[str, dict[str, Any]]:
    """Accuracy with a background of the same class minus that with another class's, by filling."""
    found = {}
    for condition, value in scores.columns:
        kind, _, fill = condition.rpartition("_")
        other = (f"exchanged_{fill}", "correct")
        if kind == "same_class" and value == "correct" and other in scores.columns:
            difference = scores.column(condition, "correct") - scores.column(*other)
            interval = mean_interval(difference[:, None], resamples, images=images_of(scores))
            found[fill] = entry(*(part[0] for part in interval))
    return found


def overall(scores: Scores, resamples: int = 2000) -> dict[str, Any]:
    """Accuracy on all images, including those without a foreground.

    With several labels an image, the share of images whose whole set of labels is right.
    """
    correct = scores.correct[first_rows(scores)]
    return entry(*(part[0] for part in mean_interval(correct[:, None], resamples)))


def guessed(scores: Scores, classes: int) -> dict[str, float | None]:
    """What guessing gives: ``chance``, and for one class an image ``majority``.

    For one class of K, 1 / K and the share of the most frequent class. For several labels, the
    recall of `chance_recall`; None if no label is present on some images and absent on others.
    """
    if images_of(scores) is None:
        return {"chance": 1 / classes, "majority": majority(scores)}
    present, decided = (_sets(sets, classes) for sets in (scores.labels, scores.predicted))
    labels, images = (torch.tensor(each).long() for each in (classes_of(scores), _places(scores)))
    chance = chance_recall(present, decided, labels, images)
    return {"chance": None if np.isnan(chance) else chance}


def _places(scores: Scores) -> np.ndarray:
    images = images_of(scores)
    assert images is not None
    return images


def _sets(labels: Sequence[Label], classes: int) -> torch.Tensor:
    """Bool (N, K)."""
    return label_tensor(labels, classes).bool()


def majority(scores: Scores) -> float:
    """Share of the most frequent class among the audited images."""
    scored = np.isfinite(scores.column(ORIGINAL, "correct"))
    return float(np.bincount(np.array(scores.labels)[scored]).max() / scored.sum())


def over_fills(scores: Scores, kind: str, value: str) -> Array | None:
    """(N,) value of each image under a kind of condition, a mean over the ways of filling.

    Returns:
        NaN where none of the ways is possible; None if the kind was not audited.
    """
    found = [
        scores.column(condition, each)
        for condition, each in scores.columns
        if each == value and kind in (condition, condition.rpartition("_")[0])
    ]
    if not found:
        return None
    return ratio(np.nansum(found, axis=0), np.isfinite(found).sum(axis=0))


def most_decided(scores: Scores) -> float:
    """Share of the most frequent decision about the audited images."""
    scored = np.isfinite(scores.column(ORIGINAL, "correct"))
    return float(np.bincount(np.array(scores.predicted)[scored]).max() / scored.sum())


def entry(mean: float, low: float, high: float, images: int) -> dict[str, float | None]:
    """A mean with its interval, which is left out for few images."""
    if not images:
        return {"mean": None, "low": None, "high": None}
    enough = images >= SMALLEST
    return {
        "mean": float(mean),
        "low": float(low) if enough else None,
        "high": float(high) if enough else None,
    }


def groups_of(scores: Scores) -> Array | None:
    """(N,) indices of the groups, −1 for none; None if no groups are known."""
    if (ORIGINAL, "group") not in scores.columns:
        return None
    return np.nan_to_num(scores.column(ORIGINAL, "group"), nan=-1)


def _worst(
    scores: Scores, condition: str, classes: list[str], groups: list[str] | None, resamples: int
) -> dict[str, Any]:
    correct = scores.column(condition, "correct")
    members = groups_of(scores)
    found: dict[str, Any] = {
        "worst_class": _worst_of(scores, correct, classes_of(scores), classes, resamples),
        "worst_group": None,
    }
    if members is not None and groups is not None:
        found["worst_group"] = _worst_of(scores, correct, members, groups, resamples)
    return found


def _worst_of(
    scores: Scores, correct: Array, members: np.ndarray, names: list[str], resamples: int
) -> dict[str, Any]:
    """The lowest accuracy, with the interval of that class or group alone."""
    worst = worst_accuracy(torch.tensor(correct), torch.tensor(members).long())
    if worst.group < 0:
        return entry(0, 0, 0, 0) | {"name": None, "images": 0}
    own, images = members == worst.group, images_of(scores)
    places = None if images is None else images[own]
    interval = mean_interval(correct[own][:, None], resamples, images=places)
    found = entry(*(part[0] for part in interval))
    return found | {"name": names[worst.group], "images": int(interval.images[0])}
