"""Augmentation policies of torchvision, which the foreground follows."""

from typing import Any

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode, v2

GEOMETRIC = ("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate")
"""Operations that move pixels; all others change colours."""


class _Recording:
    """Records the operations that a policy applies; torchvision has one method for all of them."""

    operations: list[tuple[str, float]]

    def _apply_image_or_video_transform(
        self, image: Tensor, name: str, magnitude: float, *rest: Any, **options: Any
    ) -> Tensor:
        self.operations.append((name, magnitude))
        return self.apply(image, name, magnitude, *rest, **options)

    def apply(self, image: Tensor, name: str, *rest: Any, **options: Any) -> Tensor:
        """One operation, without recording it."""
        return super()._apply_image_or_video_transform(image, name, *rest, **options)  # type: ignore[misc]


class _RandAugment(_Recording, v2.RandAugment):
    pass


class _TrivialAugment(_Recording, v2.TrivialAugmentWide):
    pass


KINDS = {"randaugment": _RandAugment, "trivial": _TrivialAugment}


class Policy:
    """Applies a policy to an image, and its geometric operations to the masks.

    torchvision's policies refuse masks, so their operations are recorded and repeated on the masks.

    Args:
        name: ``"randaugment"`` or ``"trivial"``, with torchvision's default strengths.

    Source: RandAugment, arXiv 1909.13719; TrivialAugment, arXiv 2103.10158.
    """

    def __init__(self, name: str) -> None:
        self._policy: Any = KINDS[name](interpolation=InterpolationMode.BILINEAR)

    def __call__(self, image: Tensor, masks: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Transform an image (3, H, W) and its masks (N, H, W), all uint8.

        Returns:
            Image and masks of the same sizes. Pixels from outside the image are black, and not
            foreground.
        """
        operations = self._policy.operations = []
        changed = self._policy(tv_tensors.Image(image)).as_subclass(Tensor)
        for name, magnitude in operations:
            if name in GEOMETRIC:
                masks = [self._moved(mask, name, magnitude) for mask in masks]
        return changed, masks

    def _moved(self, mask: Tensor, name: str, magnitude: float) -> Tensor:
        nearest, fill = InterpolationMode.NEAREST, self._policy._fill
        planes = [
            self._policy.apply(tv_tensors.Image(plane[None]), name, magnitude, nearest, fill)
            for plane in mask
        ]
        return torch.cat([plane.as_subclass(Tensor) for plane in planes])
