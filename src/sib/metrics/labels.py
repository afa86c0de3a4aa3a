"""Measures of a classifier with several labels an image."""

import warnings
from typing import NamedTuple

import torch
from torch import Tensor

from sib.functional.label_kinds import THRESHOLD


class LabelScores(NamedTuple):
    """How well labels are ranked and decided, each in [0, 1]."""

    map_macro: float
    """Average precision of each label over the images, a mean over the labels that any has."""
    map_micro: float
    """Average precision over all pairs of image and label."""
    f1_macro: float
    """F1 of each label at a probability of 0.5, a mean over the labels."""
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

    Source: torchmetrics, multilabel average precision and F1.
    """
    from torchmetrics.functional import classification

    truth = labels.to(torch.int64)
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a label that no image has, which is left out
        for average in ("macro", "micro"):
            found[f"map_{average}"] = classification.multilabel_average_precision(
                probabilities, truth, truth.shape[1], average
            ).item()
            found[f"f1_{average}"] = classification.multilabel_f1_score(
                probabilities, truth, truth.shape[1], THRESHOLD, average
            ).item()
    return LabelScores(**found)
