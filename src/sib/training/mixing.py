"""Mixup and CutMix: two images of a batch become one, with their labels and foregrounds."""

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from sib.config.fine_tuning import FineTuningConfig


class Mixed(NamedTuple):
    """A mixed batch."""

    images: Tensor
    """(B, C, H, W)."""
    labels: Tensor
    """(B, K) soft labels; each row sums to 1 unless an image has several labels."""
    foreground: Tensor | None
    """(B, 1, H, W) bool; None if none was given. All False for an image without annotation."""


def mixup(
    images: Tensor,
    labels: Tensor,
    num_classes: int,
    partner: Tensor,
    share: Tensor,
    foreground: Tensor | None = None,
) -> Mixed:
    """Mix x = λ x_i + (1 − λ) x_j, and labels likewise.

    The foreground is the union of both, since both objects are visible and both classes are in the
    label. If either image has no annotation, the mixed one has none.

    Args:
        images: (B, C, H, W).
        labels: (B,) class numbers, or (B, K) of several labels an image.
        num_classes: K.
        partner: (B,) indices j of the images to mix in.
        share: (B,) share λ of each original image, in [0, 1].
        foreground: (B, 1, H, W) bool; all False for an image without annotation.

    Returns:
        `Mixed`.

    Source: arXiv 1710.09412.
    """
    own = share.to(images).view(-1, 1, 1, 1)
    soft = _soft(labels, num_classes, partner, share)
    united = None
    if foreground is not None:
        other = foreground[partner]
        united = (foreground | other) & _annotated(foreground) & _annotated(other)
    return Mixed(own * images + (1 - own) * images[partner], soft, united)


def cutmix(
    images: Tensor,
    labels: Tensor,
    num_classes: int,
    partner: Tensor,
    share: Tensor,
    centre: Tensor,
    foreground: Tensor | None = None,
) -> Mixed:
    """Replace a box of image i by that of image j; λ is the share of the area that i keeps.

    The box has sides √(1 − λ) H and √(1 − λ) W and is clipped at the border; λ is then recomputed.
    The foreground is cut and pasted likewise. If either image has no annotation, the mixed one has
    none.

    Args:
        images: (B, C, H, W).
        labels: (B,) class numbers, or (B, K) of several labels an image.
        num_classes: K.
        partner: (B,) indices j of the images that the boxes come from.
        share: (B,) shares λ, in [0, 1].
        centre: (B, 2) centres of the boxes, row and column, relative to the sides, in [0, 1].
        foreground: (B, 1, H, W) bool; all False for an image without annotation.

    Returns:
        `Mixed`.

    Source: arXiv 1905.04899.
    """
    box = _boxes(share, centre, *images.shape[-2:]).to(images.device)
    kept = 1 - box.flatten(1).double().mean(dim=1)
    pasted = None
    if foreground is not None:
        other = foreground[partner]
        pasted = torch.where(box, other, foreground) & _annotated(foreground) & _annotated(other)
    mixed = torch.where(box, images[partner], images)
    return Mixed(mixed, _soft(labels, num_classes, partner, kept), pasted)


class Mixing:
    """Mixes each batch by mixup or CutMix, with a new draw for each batch and image.

    Args:
        num_classes: K.
        mixup_alpha: α of mixup, whose λ is drawn from Beta(α, α) for each image; 0 for no mixup.
        cutmix_alpha: the same for CutMix. If both are given, each batch uses one of them,
            with equal probability.

    Random numbers come from torch's global CPU generator.

    Raises:
        ValueError: an α is negative or not finite, or both are 0.
    """

    def __init__(
        self, num_classes: int, mixup_alpha: float = 0.0, cutmix_alpha: float = 0.0
    ) -> None:
        for name, alpha in (("mixup_alpha", mixup_alpha), ("cutmix_alpha", cutmix_alpha)):
            if not 0 <= alpha < float("inf"):
                raise ValueError(f"{name} must be at least 0; got {alpha}")
        if not mixup_alpha and not cutmix_alpha:
            raise ValueError("mixup_alpha or cutmix_alpha must be above 0")
        self.num_classes = num_classes
        self.alphas = {"mixup": mixup_alpha, "cutmix": cutmix_alpha}

    def __call__(self, images: Tensor, labels: Tensor, foreground: Tensor | None = None) -> Mixed:
        """Mix a batch; see `mixup` and `cutmix`."""
        kind, size = self._kind(), len(images)
        partner = torch.randperm(size).to(images.device)
        alpha = torch.tensor(self.alphas[kind], dtype=torch.float64)
        share = torch.distributions.Beta(alpha, alpha).sample((size,))
        if kind == "mixup":
            return mixup(images, labels, self.num_classes, partner, share, foreground)
        centre = torch.rand(size, 2)
        return cutmix(images, labels, self.num_classes, partner, share, centre, foreground)

    def _kind(self) -> Literal["mixup", "cutmix"]:
        if all(self.alphas.values()):
            draw = torch.rand(())
            return "mixup" if draw < 0.5 else "cutmix"
        return "mixup" if self.alphas["mixup"] else "cutmix"


def make_mixing(config: FineTuningConfig, num_classes: int) -> Mixing | None:
    """The run's mixing; None if its configuration has none."""
    if not config.mixup and not config.cutmix:
        return None
    return Mixing(num_classes, config.mixup, config.cutmix)


def _soft(labels: Tensor, num_classes: int, partner: Tensor, share: Tensor) -> Tensor:
    several = labels.ndim == 2  # labels an image
    hot = labels.double() if several else F.one_hot(labels, num_classes).double()
    own = share.to(hot).view(-1, 1)
    return (own * hot + (1 - own) * hot[partner]).float()


def _annotated(foreground: Tensor) -> Tensor:
    """Whether there is any foreground, (B, 1, 1, 1)."""
    return foreground.flatten(1).any(dim=1).view(-1, 1, 1, 1)


def _boxes(share: Tensor, centre: Tensor, height: int, width: int) -> Tensor:
    """True inside the boxes, (B, 1, H, W) bool."""
    side = (1 - share.double().cpu()).sqrt()
    inside = []
    for axis, length in enumerate((height, width)):
        middle, half = centre[:, axis].double().cpu() * length, side * length / 2
        low, high = (middle - half).round(), (middle + half).round()
        place = torch.arange(length, dtype=torch.float64)
        inside.append((place >= low[:, None]) & (place < high[:, None]))
    return (inside[0][:, :, None] & inside[1][:, None, :]).unsqueeze(1)
