"""Found foregrounds, given to the training images as if they were annotated."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from sib.config.choices import Resize
from sib.data.sample import Sample
from sib.data.source import Source
from sib.data.transforms import JointTransform
from sib.functional.area import Area, marked_area
from sib.utils.image_size import ImageSize, height_width


class EnlargedSource:
    """Images prepared for a network's view that is larger than the run's input.

    `JointTransform` leaves an image of the wanted size unchanged, and crops every other. So an
    image of the run's size is enlarged here, and then left unchanged at the view's size.

    Args:
        source: source of the images.
        image_size: size of the run's input.
        view_size: size of the view, with the same proportions.
    """

    def __init__(self, source: Source, image_size: ImageSize, view_size: ImageSize) -> None:
        self.labels, self.classes = source.labels, source.classes
        self.names, self.annotated = source.names, source.annotated
        self.source, self._size = source, height_width(image_size)
        self._enlarge = JointTransform(view_size, resize="squash")

    def __len__(self) -> int:
        """Number of images."""
        return len(self.source)

    def __getitem__(self, index: int) -> Sample:
        """Image ``index`` from the source, possibly enlarged."""
        sample = self.source[index]
        return self._enlarge(sample) if sample.image.shape[-2:] == self._size else sample


class FoundSource:
    """Images with the foregrounds that were found for them; see `sib.functional.principal`.

    The foreground is handled like an annotated one, so it follows crops and flips.

    Args:
        source: source of the training images.
        maps: (1, h, w) float32, by image name; an image without a map has no foreground.
        area: which part of an image its map marks, see `sib.functional.area.marked_area`.
        image_size: size of the network's input.
        resize: what the maps show: the image as brought to its size by `JointTransform` without
            random crops, to which it is cut here; or None for the whole image, as for random crops.
        annotated: (N,), whether the image keeps its own annotation, if it has one.
    """

    annotated = True

    def __init__(
        self,
        source: Source,
        maps: Mapping[str, Tensor],
        area: Area,
        image_size: ImageSize,
        resize: Resize | None,
        annotated: Sequence[bool],
    ) -> None:
        self.labels, self.classes, self.names = source.labels, source.classes, source.names
        self.source, self.maps, self.area = source, maps, area
        self._keeps, self._whole = annotated, resize is None
        self._transform = JointTransform(image_size, resize=resize or "squash")

    def __len__(self) -> int:
        """Number of images."""
        return len(self.source)

    def __getitem__(self, index: int) -> Sample:
        """Image ``index`` with its foreground.

        Raises:
            InputError: the image cannot be read.
        """
        sample = self.source[index]
        if self._keeps[index] and sample.foreground is not None:
            return sample
        sample = sample._replace(foreground=None)
        if not self._whole:
            sample = self._transform(sample)
        found = self.maps.get(self.names[index])
        if found is None:
            return sample
        mask = marked_area(found[None], self.area, self._transform.size)[0]
        if self._whole:
            mask = _resized(mask, list(sample.image.shape[-2:]))
        return sample._replace(foreground=tv_tensors.Mask(mask))


def _resized(mask: Tensor, size: list[int]) -> Tensor:
    """A mask (1, H, W), bool, at another size, by the nearest pixel as in `JointTransform`."""
    return F.resize(mask.view(torch.uint8), size, InterpolationMode.NEAREST_EXACT).view(torch.bool)
