"""Transforms that move an image and its foreground together."""

from collections.abc import Sequence
from typing import NamedTuple, get_args

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode, RandomResizedCrop
from torchvision.transforms.v2 import functional as F

from sib.config.choices import CROP_AREA, Augment, Resize
from sib.data.policies import KINDS, Policy
from sib.data.readers.decode import MAX_PIXELS
from sib.data.sample import Sample
from sib.utils.errors import InputError
from sib.utils.image_size import ImageSize, check_size, height_width
from sib.utils.resize import ResizeRule, parse_resize

CACHEABLE = ("none", "flip")
"""Augmentations that are not random before the flip."""

CROP_RATIO = (3 / 4, 4 / 3)
GREY = 128
"""Grey level of a padded image's border; close to 0 once it is normalised."""


def check_resized(
    size: Sequence[int], image_size: ImageSize, where: str = "an image", resize: Resize = "crop"
) -> None:
    """Raise InputError if an image is so long that covering the wanted size makes it too large.

    Args:
        size: height and width of the image.
        image_size: size of the network's input.
        where: names the image in the message.
        resize: how images are brought to that size; only rules that crop enlarge beyond it.
    """
    rule = parse_resize(resize)
    found, wanted = (size[0], size[1]), height_width(image_size)
    if rule.kind == "pad" or (rule.kind == "squash" and rule.share is None) or found == wanted:
        return
    height, width = _covering(found, wanted, rule)
    if height * width > MAX_PIXELS:
        raise InputError(
            f"{where} is {found[1]} × {found[0]} pixels; resized to {width} × {height}, of which "
            f"the centre is kept, it would have more than the {MAX_PIXELS:,} pixels that are "
            "allowed: crop it, lower --image-size, or take --input.resize (--resize) squash or pad"
        )


class Part(NamedTuple):
    """Pixels (C, H, W) and how to resize them.

    The joint transforms of torchvision resize masks with ``nearest``, which takes the pixel left
    of the centre and so moves a mask by up to half a pixel; ``nearest-exact`` does not.
    """

    pixels: Tensor
    mode: InterpolationMode


class JointTransform:
    """Bring a sample to a size, together with its foreground.

    Images are resized with antialiased weights, foregrounds with the nearest pixel. ``none``
    follows ``resize``: ``"crop"`` resizes an image to cover round(256/224 · size) and no more, its
    ratio kept, and crops the centre, so that for a square the short side becomes round(256/224 ·
    image_size); ``"squash"`` resizes height and width whatever their ratio; ``"pad"`` resizes an
    image to fit inside, its ratio kept, and lays it on the centre of a grey ground, which is not
    foreground. ``"crop:0.95"`` and ``"squash:0.95"`` crop the centre of an image of floor(size /
    0.95), as timm and torchvision do for their weights. Weights are bilinear, or bicubic where the
    rule ends in ``:bicubic``. An image of the wanted size is left as it is. ``flip`` is the
    same and a horizontal flip of every second image. ``crop`` is a random crop of at least
    ``crop_area`` of the area, resized, and the flip; at 0.08 it is the published ImageNet
    transform. ``randaugment`` and ``trivial`` are ``crop`` and a policy of torchvision on its
    result, see `sib.data.policies`. Randomness comes from torch's global CPU generator.

    Args:
        image_size: side of the result in pixels, at least 1, or its height and width.
        augment: a name in `Augment`.
        crop_area: in (0, 1], for ``"crop"`` and the policies.
        resize: ``"crop"``, ``"squash"`` or ``"pad"``, with details as `parse_resize` reads them;
            random crops follow its interpolation only.

    Raises:
        InputError: an argument is not allowed.

    Source: arXiv 2511.09239, published scripts (``none``, and ``crop`` for ImageNet).

    Example:
        >>> import sib
        >>> sample = sib.data.Digits("train", size=1, image_size=64)[0]
        >>> smaller = sib.data.JointTransform(32)(sample)
        >>> smaller.image.shape, smaller.foreground.shape
        (torch.Size([3, 32, 32]), torch.Size([1, 32, 32]))
    """

    def __init__(
        self,
        image_size: ImageSize,
        augment: Augment = "none",
        crop_area: float = CROP_AREA,
        resize: Resize = "crop",
    ) -> None:
        self.size = height_width(check_size(image_size))
        if augment not in get_args(Augment):
            raise InputError(
                f"augment must be one of {', '.join(get_args(Augment))}; got {augment!r}"
            )
        if not 0 < crop_area <= 1:
            raise InputError(f"crop_area must be above 0 and at most 1; got {crop_area}")
        self.augment, self.crop_area, self.rule = augment, crop_area, parse_resize(resize)
        self.random = augment != "none"
        self.policy = Policy(augment) if augment in KINDS else None

    def __call__(self, sample: Sample) -> Sample:
        """Transform a sample of any size into one of (3, H, W), uint8."""
        parts = [Part(sample.image.as_subclass(Tensor), InterpolationMode(self.rule.interpolation))]
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
        size = list(self.size)
        if self.augment not in CACHEABLE:
            scale, wide = [self.crop_area, 1.0], self.size[1] / self.size[0]
            ratio = [CROP_RATIO[0] * wide, CROP_RATIO[1] * wide]
            box = RandomResizedCrop.get_params(parts[0].pixels, scale, ratio)
            return [F.resized_crop(pixels, *box, size, mode) for pixels, mode in parts]
        if list(parts[0].pixels.shape[-2:]) == size:
            return [pixels for pixels, _ in parts]
        found = (parts[0].pixels.shape[-2], parts[0].pixels.shape[-1])
        if self.rule.kind == "pad":
            inside = _fitting(found, self.size)
            grounds = [GREY] + [0] * (len(parts) - 1)
            return [
                _padded(F.resize(pixels, list(inside), mode), self.size, ground)
                for (pixels, mode), ground in zip(parts, grounds, strict=True)
            ]
        check_resized(found, self.size, resize=str(self.rule))
        covering = list(_covering(found, self.size, self.rule))
        return [F.center_crop(F.resize(pixels, covering, mode), size) for pixels, mode in parts]

    def _flipped(self, parts: list[Tensor]) -> list[Tensor]:
        if self.random and torch.rand(()) < 0.5:
            return [F.horizontal_flip(part) for part in parts]
        return parts


def _covering(found: tuple[int, int], wanted: tuple[int, int], rule: ResizeRule) -> tuple[int, int]:
    """Height and width of the resized image whose centre is kept.

    Of ``"crop"``, it covers what the rule asks for, and no more.
    """
    (height, width), (least_height, least_width) = found, (rule.resized(side) for side in wanted)
    if rule.kind == "squash":
        return least_height, least_width
    # the longer side is rounded down, as torchvision does
    if least_height * width >= least_width * height:
        return least_height, int(least_height * width / height)
    return int(least_width * height / width), least_width


def _fitting(found: tuple[int, int], wanted: tuple[int, int]) -> tuple[int, int]:
    """Height and width of an image that fits into the wanted size and fills one side of it."""
    (height, width), (most_height, most_width) = found, wanted
    if most_height * width <= most_width * height:
        return most_height, max(1, round(most_height * width / height))
    return max(1, round(most_width * height / width)), most_width


def _padded(pixels: Tensor, size: tuple[int, int], ground: int) -> Tensor:
    """Pixels (C, h, w) at the centre of (C, H, W), on a ground of one value."""
    height, width = pixels.shape[-2:]
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    padded = pixels.new_full((pixels.shape[0], *size), ground)
    padded[:, top : top + height, left : left + width] = pixels
    return padded
