"""Transforms that move an image and its foreground together."""

from typing import NamedTuple, get_args

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode, RandomResizedCrop
from torchvision.transforms.v2 import functional as F

from sib.config.choices import CROP_AREA, Augment
from sib.data.policies import KINDS, Policy
from sib.data.sample import Sample
from sib.utils.errors import InputError

CACHEABLE = ("none", "flip")
"""Augmentations that are not random before the flip."""

# The published transform: 256 for images of 224.
RESIZE_RATIO = 256 / 224
CROP_RATIO = (3 / 4, 4 / 3)


class Part(NamedTuple):
    """Pixels (C, H, W) and how to resize them.

    The joint transforms of torchvision resize masks with ``nearest``, which takes the pixel left
    of the centre and so moves a mask by up to half a pixel; ``nearest-exact`` does not.
    """

    pixels: Tensor
    mode: InterpolationMode


class JointTransform:
    """Bring a sample to ``image_size`` × ``image_size``, its foreground with it.

    Images are resized with antialiased bilinear weights, foregrounds with the nearest pixel.
    ``none`` resizes the short side to round(image_size · 256/224) and crops the centre; an image
    of the wanted size is left as it is. ``flip`` is the same and a horizontal flip of every
    second image. ``crop`` is a random crop of at least ``crop_area`` of the area, resized, and the
    flip; at 0.08 it is the published ImageNet transform. ``randaugment`` and ``trivial`` are
    ``crop`` and a policy of torchvision on its result, see `sib.data.policies`.
    Randomness comes from torch's global CPU generator.

    Args:
        image_size: side of the result in pixels, at least 1.
        augment: a name in `Augment`.
        crop_area: in (0, 1], for ``"crop"`` and the policies.

    Raises:
        InputError: an argument that is not allowed.

    Source: arXiv 2511.09239, published scripts (``none``, and ``crop`` for ImageNet).
    """

    def __init__(
        self, image_size: int, augment: Augment = "none", crop_area: float = CROP_AREA
    ) -> None:
        if image_size < 1:
            raise InputError(f"image_size must be at least 1; got {image_size}")
        if augment not in get_args(Augment):
            raise InputError(f"augment must be of {', '.join(get_args(Augment))}; got {augment!r}")
        if not 0 < crop_area <= 1:
            raise InputError(f"crop_area must lie above 0 and at most at 1; got {crop_area}")
        self.image_size, self.augment, self.crop_area = image_size, augment, crop_area
        self.random = augment != "none"
        self.policy = Policy(augment) if augment in KINDS else None

    def __call__(self, sample: Sample) -> Sample:
        """Transform a sample of any size into one of (3, image_size, image_size), uint8."""
        parts = [Part(sample.image.as_subclass(Tensor), InterpolationMode.BILINEAR)]
        if sample.foreground is not None:
            # the same bytes, because bool would be resized by way of float
            mask = sample.foreground.as_subclass(Tensor).view(torch.uint8)
            parts.append(Part(mask, InterpolationMode.NEAREST_EXACT))
        image, *masks = self._flipped(self._resized(parts))
        if self.policy is not None:
            image, masks = self.policy(image, masks)
        foreground = tv_tensors.Mask(masks[0].view(torch.bool)) if masks else None
        return Sample(tv_tensors.Image(image), sample.label, foreground)

    def _resized(self, parts: list[Part]) -> list[Tensor]:
        size = [self.image_size, self.image_size]
        if self.augment not in CACHEABLE:
            scale = [self.crop_area, 1.0]
            box = RandomResizedCrop.get_params(parts[0].pixels, scale, list(CROP_RATIO))
            return [F.resized_crop(pixels, *box, size, mode) for pixels, mode in parts]
        if list(parts[0].pixels.shape[-2:]) == size:
            return [pixels for pixels, _ in parts]
        short_side = [round(self.image_size * RESIZE_RATIO)]
        return [F.center_crop(F.resize(pixels, short_side, mode), size) for pixels, mode in parts]

    def _flipped(self, parts: list[Tensor]) -> list[Tensor]:
        if self.random and torch.rand(()) < 0.5:
            return [F.horizontal_flip(part) for part in parts]
        return parts
