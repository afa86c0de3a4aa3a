"""A model's accuracy, and where its decision looks, on one split."""

from collections.abc import Iterable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sib import distributed
from sib.data.normalization import normalise
from sib.data.sample import Batch
from sib.functional.decision import decision_vjp
from sib.metrics import foreground_energy
from sib.models.mode import evaluation_mode
from sib.utils.normalization import Normalization


class Measurement(NamedTuple):
    """What was measured on one split."""

    accuracy: float
    """Share of the images whose largest logit is that of their class, in [0, 1]."""
    cross_entropy: float
    """Mean over the images."""
    foreground_energy: float
    """Mean over the annotated images of the VJP's energy inside the foreground; NaN if none."""
    foreground_share: float
    """Mean foreground share of the area: the energy of a map without any preference."""
    images: int
    """Images measured."""
    annotated: int
    """Number of images with a foreground and a nonzero VJP, on which the energy is based."""


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
    """
    sums = torch.zeros(7, dtype=torch.float64)
    with evaluation_mode(model):
        for batch in batches:
            images = normalise(batch.images, device, normalization).requires_grad_()
            logits = model(images)
            R = decision_vjp(logits, images)
            sums += _measure_batch(batch, logits.detach(), R)
    images, correct, entropy, annotated, energy, known, share = distributed.all_reduce_sum(sums)
    return Measurement(
        accuracy=(correct / images).item(),
        cross_entropy=(entropy / images).item(),
        foreground_energy=(energy / annotated).item(),
        foreground_share=(share / known).item(),
        images=int(images),
        annotated=int(annotated),
    )


def _measure_batch(batch: Batch, logits: Tensor, R: Tensor) -> Tensor:
    """Sums over the images, and the numbers of those with an energy or a foreground."""
    labels = batch.labels.to(logits.device)
    foreground = batch.foreground.squeeze(1).to(logits.device)
    energy = foreground_energy(R.abs().sum(dim=1), foreground)
    share = foreground.flatten(1).float().mean(dim=1)
    columns = (
        torch.ones_like(labels),
        logits.argmax(dim=1) == labels,
        F.cross_entropy(logits.float(), labels, reduction="none"),
        energy.isfinite(),
        energy.nan_to_num(0, 0, 0),
        share > 0,
        share,
    )
    return torch.stack([column.cpu().double().sum() for column in columns])
