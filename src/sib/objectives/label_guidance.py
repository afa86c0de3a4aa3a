"""Guidance label by label: the gradient of each label against the foreground of that label."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from sib.functional.label_kinds import MULTI
from sib.functional.precision import at_least_float32
from sib.functional.reconstruction import SCALE
from sib.objectives.parts import Parts


class Round(NamedTuple):
    """One label of each image."""

    labels: Tensor
    """(B,), −1 for an image without annotation, whose whole decision is explained."""
    foreground: Tensor
    """(B, 1, H, W), that of the label; zero everywhere for −1."""
    is_new: Tensor
    """Bool (B,), whether the image has such a label."""
    rounds: Tensor
    """(B,), the image's number of rounds, at least 1."""


def rounds_of(foreground: Tensor) -> Iterator[Round]:
    """The rounds that together hold every annotated label of every image once.

    Args:
        foreground: F_k, (B, K, H, W); zero everywhere for a label that is not annotated.

    Returns:
        As many rounds as the image with the most annotated labels has, at least one.
    """
    known = foreground.flatten(2).any(dim=2)
    counts = known.sum(dim=1)
    place = known.cumsum(dim=1)
    images = torch.arange(len(known), device=known.device)
    for number in range(max(1, int(counts.max()))):
        own = known & (place == number + 1)
        has_own = own.any(dim=1)
        label = own.to(torch.uint8).argmax(dim=1)
        chosen = foreground[images, label][:, None] * has_own[:, None, None, None]
        is_whole = (counts == 0) & (number == 0)
        labels = torch.where(has_own, label, -1)
        yield Round(labels, chosen, has_own | is_whole, counts.clamp_min(1))


def label_scores(logits: Tensor, labels: Tensor) -> tuple[Tensor, float]:
    """A scalar whose gradient at the images is that of each label's log-odds, times a scale.

    Σ_b z_bk with k the label of image b, and −log Σ_k exp(−|z_bk|) for −1.

    Args:
        logits: (B, K).
        labels: (B,).
    """
    scale = 1.0 if logits.dtype == torch.float64 else SCALE["margin"]
    logits = at_least_float32(logits)
    own = logits.gather(1, labels.clamp_min(0)[:, None]).squeeze(1)
    return scale * torch.where(labels >= 0, own, MULTI.margin(logits)).sum(), scale


def added(total: Parts, found: Parts, is_new: Tensor) -> Parts:
    """The sum of two rounds; the mask is the union, and R that of the first.

    Args:
        total: of the rounds so far.
        found: of the next one.
        is_new: (B,), as in `Round`.
    """
    pairs = zip(total.tensors(), found.tensors(), strict=True)
    joined = total.with_tensors(first + second for first, second in pairs)
    assert total.mask is not None and found.mask is not None
    return joined._replace(mask=torch.maximum(total.mask, found.mask * is_new[:, None, None, None]))
