"""A model's accuracy, and how much of its decision comes from the object, on one split."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sib import distributed
from sib.data.normalization import normalise
from sib.data.sample import Batch
from sib.functional.decision import decision_vjp
from sib.functional.label_kinds import MULTI, LabelKind, kind_of
from sib.metrics import foreground_energy
from sib.metrics.labels import LabelScores, label_scores
from sib.models.mode import evaluation_mode
from sib.utils.errors import InputError
from sib.utils.normalization import Normalization


class Measurement(NamedTuple):
    """What was measured on one split."""

    accuracy: float
    """Share of the images whose class, or whose whole set of labels, is decided, in [0, 1]."""
    cross_entropy: float
    """Mean over the images; for several labels an image binary, a mean over the labels as well."""
    foreground_energy: float
    """Mean over the annotated images of the VJP's energy inside the foreground; NaN if none."""
    foreground_share: float
    """Mean foreground share of the area: the energy of a map without any preference."""
    images: int
    """Images measured."""
    annotated: int
    """Number of images with a foreground and a nonzero VJP, on which the energy is based."""
    labels: LabelScores | None = None
    """mAP and F1, where an image has several labels."""

    def record(self) -> dict[str, Any]:
        """The measurement for a log, flat."""
        found = self._asdict()
        own = found.pop("labels")
        return found if own is None else found | own._asdict()


def measure(
    model: nn.Module,
    batches: Iterable[Batch],
    device: torch.device,
    normalization: Normalization,
) -> Measurement:
    """Measure a model in evaluation mode, and restore its mode.

    Args:
        model: classifier (B, 3, H, W) → (B, K).
        batches: uint8 images with labels and, where annotated, foregrounds. Under torchrun these
            are this process's batches, and the counts of all processes are added.
        device: where the model is.
        normalization: the one that the model was trained with.

    Returns:
        `Measurement`.

    Raises:
        InputError: there is no image.
    """
    sums = torch.zeros(7, dtype=torch.float64)
    kind, pairs = kind_of(model), []
    with evaluation_mode(model):
        for batch in batches:
            if not batch.names:  # none of its images can be read
                continue
            images = normalise(batch.images, device, normalization).requires_grad_()
            logits = kind.class_logits(model(images))
            R = decision_vjp(logits, images, kind=kind)
            logits = logits.detach()
            sums += _measure_batch(batch, logits, R, kind)
            if kind is MULTI:
                pairs.append((kind.probabilities(logits.float()).cpu(), batch.labels))
    images, correct, entropy, annotated, energy, known, share = distributed.all_reduce_sum(sums)
    if not images:
        raise InputError("there is no image to measure on that can be read")
    return Measurement(
        accuracy=(correct / images).item(),
        cross_entropy=(entropy / images).item(),
        foreground_energy=(energy / annotated).item(),
        foreground_share=(share / known).item(),
        images=int(images),
        annotated=int(annotated),
        labels=_label_scores(pairs) if kind is MULTI else None,
    )


def _label_scores(pairs: list[tuple[Tensor, Tensor]]) -> LabelScores:
    """Of the images of all processes together."""
    every = [pair for own in distributed.all_gather_object(pairs) for pair in own]
    probabilities, labels = (torch.cat(column) for column in zip(*every, strict=True))
    return label_scores(probabilities, labels)


def _measure_batch(batch: Batch, logits: Tensor, R: Tensor, kind: LabelKind) -> Tensor:
    """Sums over the images, and how many of them have an energy and a foreground."""
    labels = batch.labels.to(logits.device)
    foreground = batch.foreground.squeeze(1).to(logits.device)
    energy = foreground_energy(R.abs().sum(dim=1), foreground)
    share = foreground.flatten(1).float().mean(dim=1)
    if kind is MULTI:
        correct = (kind.decided(logits) == labels.bool()).all(dim=1)
        loss = F.binary_cross_entropy_with_logits
        entropy = loss(logits.float(), labels, reduction="none").mean(dim=1)
    else:
        correct = logits.argmax(dim=1) == labels
        entropy = F.cross_entropy(logits.float(), labels, reduction="none")
    columns = (
        torch.ones(len(labels)),
        correct,
        entropy,
        energy.isfinite(),
        energy.nan_to_num(0, 0, 0),
        share > 0,
        share,
    )
    return torch.stack([column.cpu().double().sum() for column in columns])
