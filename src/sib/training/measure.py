"""A model's accuracy and the place of its decision, on one split."""

from collections.abc import Iterable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sib.data.normalization import Normalization, normalise
from sib.data.sample import Batch
from sib.functional.decision import decision_vjp
from sib.metrics import foreground_energy
from sib.models.mode import evaluation_mode


class Measurement(NamedTuple):
    """What was measured on one split."""

    accuracy: float
    """Share of the images whose largest logit is their class, in [0, 1]."""
    cross_entropy: float
    """Mean over the images."""
    foreground_energy: float
    """Mean over the annotated images of the VJP's energy inside the foreground; NaN for none."""
    foreground_share: float
    """Mean share of the area that is foreground: the energy of a map without any preference."""
    images: int
    """Images measured."""
    annotated: int
    """Images with a foreground and a VJP that is not zero, the ones behind the energy."""


def measure(
    model: nn.Module,
    batches: Iterable[Batch],
    device: torch.device,
    normalization: Normalization,
) -> Measurement:
    """Measure a model in evaluation mode, and leave its mode as it was.

    Args:
        model: classifier (B, 3, H, W) → (B, K).
        batches: uint8 images with labels and, where annotated, foregrounds.
        device: where the model is.
        normalization: the one that the model was trained with.

    Returns:
        `Measurement`.
    """
    rows = []
    with evaluation_mode(model):
        for batch in batches:
            images = normalise(batch.images, device, normalization).requires_grad_()
            logits = model(images)
            R = decision_vjp(logits, images)
            rows.append(_measure_batch(batch, logits.detach(), R))
    correct, entropy, energy, share = (torch.cat(column) for column in zip(*rows, strict=True))
    return Measurement(
        accuracy=correct.double().mean().item(),
        cross_entropy=entropy.double().mean().item(),
        foreground_energy=energy.nanmean().item(),
        foreground_share=share.nanmean().item(),
        images=len(correct),
        annotated=int(energy.isfinite().sum()),
    )


def _measure_batch(batch: Batch, logits: Tensor, R: Tensor) -> tuple[Tensor, ...]:
    labels = batch.labels.to(logits.device)
    foreground = batch.foreground.squeeze(1).to(logits.device)
    energy = foreground_energy(R.abs().sum(dim=1), foreground)
    share = foreground.flatten(1).float().mean(dim=1)
    return (
        (logits.argmax(dim=1) == labels).cpu(),
        F.cross_entropy(logits.float(), labels, reduction="none").cpu(),
        energy.cpu(),
        torch.where(share > 0, share, torch.nan).cpu(),
    )
