"""Changes to the calibrated objective that studies/screen.py tries in fine-tuning."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sib.functional.exchange import exchange_backgrounds
from sib.objectives.base import Parts
from sib.objectives.calibrated import CalibratedSpatialIB


class LogShare(CalibratedSpatialIB):
    """−log(1 − ρ) of each image in place of ρ: the log of the share inside the foreground."""

    def terms(self, parts: Parts) -> dict[str, Tensor]:
        """The terms, from shares that are transformed one by one."""
        own = (-torch.log1p(-share.clamp(max=1 - 1e-4)) for share in parts.tensors())
        return super().terms(parts.with_tensors(own))


class CutMixRegion(CalibratedSpatialIB):
    """M is the region of a CutMix image that shows the predicted class; elsewhere there is no term.

    With ``found``, M is the part of the region inside the foregrounds that the start network found.

    Source: the provenance of CutMix's pixels as an exact mask, arXiv 2604.02946; here for the
        shares of S-IB.
    """

    found = False
    mixed: "Mixed"

    def parts(
        self, logits: Tensor, images: Tensor, foreground: Tensor | None = None, **options: Any
    ) -> Parts:
        """The shares outside the region of the predicted class."""
        assert foreground is not None
        predicted = logits.argmax(dim=1)
        box = self.mixed.box
        known = foreground if self.found else torch.ones_like(foreground)
        region = torch.zeros_like(box)
        for labels, place in ((self.mixed.own, 1 - box), (self.mixed.partner, box)):
            shows = (predicted == labels).float()[:, None, None, None]
            region = torch.maximum(region, shows * place)
        mask = region * known
        empty = ~mask.flatten(1).any(dim=1)[:, None, None, None]
        return super().parts(logits, images, torch.where(empty, 1.0, mask), **options)


class ActivationPenalty(CalibratedSpatialIB):
    """One more term, the mean activation of the last stage in the background.

    Source: targeted activation penalty, arXiv 2311.12813.
    """

    names: ClassVar = ("image", "stages", "layer", "activation")

    def _shares(self, images: Tensor, features: Any, *others: Any, **options: Any) -> Parts:
        parts = super()._shares(images, features, *others, **options)
        assert parts.mask is not None
        place = self._features.names.index(self._features.last or self._features.names[-1])
        amount = features[place].abs().mean(dim=1, keepdim=True)
        outside = 1 - F.adaptive_avg_pool2d(parts.mask, amount.shape[-2:])
        mean = (amount * outside).flatten(1).mean(dim=1)
        return parts._replace(values={**parts.values, "activation": (mean,)})

    def terms(self, parts: Parts) -> dict[str, Tensor]:
        """The terms of S-IB and the mean activation."""
        return {**super().terms(parts), "activation": parts.values["activation"][0].mean()}

    def term_weights(self) -> dict[str, float]:
        """The activation weighs what the last stage does."""
        return {**super().term_weights(), "activation": self.layer_weight}


class TopKPool(nn.Module):
    """(B, C, h, w) → (B, C): the mean of the largest quarter of each channel's places.

    Source: channel-wise top-k pooling, arXiv 2602.22394, there over a transformer's tokens.
    """

    def forward(self, features: Tensor) -> Tensor:
        """Pool."""
        places = features.flatten(2)
        return places.topk(max(1, places.shape[2] // 4), dim=2).values.mean(dim=2)


@dataclass
class Mixed:
    """A batch in which a rectangle of each image comes from another one."""

    images: Tensor
    labels: Tensor
    """(B, K), soft."""
    foreground: Tensor
    box: Tensor
    """(B, 1, H, W), 1 where the other image is shown."""
    own: Tensor
    partner: Tensor
    """(B,), the classes of the image and of the rectangle."""


def cutmix(
    images: Tensor, labels: Tensor, foreground: Tensor, classes: int, random: torch.Generator
) -> Mixed:
    """Mix a batch with itself, in another order, by one rectangle of a uniform share of the area.

    Source: CutMix, arXiv 1905.04899.
    """
    height, width = images.shape[-2:]
    side = (1 - torch.rand((), generator=random)).sqrt().item()
    high, wide = max(1, round(height * side)), max(1, round(width * side))
    top = int(torch.randint(height - high + 1, (), generator=random))
    left = int(torch.randint(width - wide + 1, (), generator=random))
    order = torch.randperm(len(images), generator=random)
    box = torch.zeros(len(images), 1, height, width)
    box[:, :, top : top + high, left : left + wide] = 1
    share = box[0].mean()
    hot = F.one_hot(labels, classes).float()
    return Mixed(
        torch.where(box.bool(), images[order], images),
        (1 - share) * hot + share * hot[order],
        torch.where(box.bool(), foreground[order], foreground),
        box,
        labels,
        labels[order],
    )


@dataclass(frozen=True)
class Form:
    """One way of training; without a change it is S-IB as it is by default after fine-tuning."""

    objective: type[CalibratedSpatialIB] | None = CalibratedSpatialIB
    """None for cross-entropy."""
    weight: float = 0.1
    """λ of each term."""
    annotated: bool = False
    """Whether the foregrounds are the annotated ones."""
    area: tuple[float, float] = (0.2, 0.2)
    """Area of the found foregrounds in the first and in the last epoch."""
    binary: bool = False
    """Binary cross-entropy for each class, and R of the logit of the image's class."""
    mix: float = 0.0
    """Probability that a batch is mixed by CutMix."""
    found_region: bool = False
    """Whether the region of CutMix is cut by the found foregrounds."""
    fine: bool = False
    """Last stage at stride 1."""
    top_k: bool = False
    """Pool the largest quarter of each channel."""
    teacher: bool = False
    """Imitate a network that sees the found foregrounds alone, and was trained so."""
    divergence: bool = False
    """On every second step, a divergence from the image with another background; no other term."""
    warm_up: bool = False
    """Weights rise from 0 over the first half."""


FORMS = {
    "cross-entropy": Form(None),
    "S-IB": Form(),
    "half of the weights": Form(weight=0.05),
    "area 0.4": Form(area=(0.4, 0.4)),
    "area from 0.6 to 0.2": Form(area=(0.6, 0.2)),
    "weights from 0": Form(warm_up=True),
    "log of the share inside": Form(LogShare),
    "binary cross-entropy": Form(None, binary=True),
    "S-IB, binary cross-entropy": Form(binary=True),
    "cross-entropy, CutMix": Form(None, mix=0.5),
    "S-IB, regions of CutMix": Form(CutMixRegion, mix=1.0),
    "S-IB, CutMix and found": Form(CutMixRegion, mix=0.5, found_region=True),
    "cross-entropy, last stage at stride 1": Form(None, fine=True),
    "S-IB, last stage at stride 1": Form(fine=True),
    "cross-entropy, top-k pooling": Form(None, top_k=True),
    "S-IB, top-k pooling": Form(top_k=True),
    "teacher of the foreground": Form(None, area=(0.4, 0.4), teacher=True),
    "S-IB, teacher, area 0.4": Form(area=(0.4, 0.4), teacher=True),
    "S-IB, divergence": Form(divergence=True),
    "guided": Form(annotated=True),
    "guided, activation penalty": Form(ActivationPenalty, annotated=True),
}


def divergence(model: nn.Module, logits: Tensor, images: Tensor, foreground: Tensor) -> Tensor:
    """KL from the prediction for an image to that before another image's background."""
    exchanged = exchange_backgrounds(images.detach(), foreground, share=1.0)
    other = model(exchanged).log_softmax(dim=1)
    return F.kl_div(other, logits.log_softmax(dim=1), reduction="batchmean", log_target=True)
