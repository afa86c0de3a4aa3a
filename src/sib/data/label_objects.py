"""Images whose foreground comes with one for each label, for training label by label."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision import tv_tensors

from sib.config.choices import Resize
from sib.data.objects import objects_by_label
from sib.data.readers.decode import read_size
from sib.data.readers.masks import draw_objects
from sib.data.records import RecordSource
from sib.data.sample import Label, Objects, Sample, labels_of
from sib.data.source import Source
from sib.data.transforms import JointTransform
from sib.utils.image_size import ImageSize


class LabelObjectSource:
    """Images whose foreground is (1 + K, H, W): that of all objects, and that of each label.

    The foreground of a label that the image does not have, or whose objects are not annotated, is
    zero everywhere.

    Args:
        source: the images, perhaps brought to the run's size already.
        records: the same images as they are on disk, with annotations that name classes.
        image_size: size of the network's input.
        resize: how images are brought to that size where ``source`` has done so.
    """

    def __init__(
        self, source: Source, records: RecordSource, image_size: ImageSize, resize: Resize
    ) -> None:
        self.labels: Sequence[Label] = source.labels
        self.classes, self.names = source.classes, source.names
        self.annotated = source.annotated
        self.source, self._records = source, records.records
        self._transform = JointTransform(image_size, resize=resize)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.source)

    def __getitem__(self, index: int) -> Sample:
        """Image ``index`` with its foregrounds.

        Raises:
            InputError: the image cannot be read.
        """
        sample = self.source[index]
        shown = torch.Size(sample.image.shape[-2:])
        union = sample.foreground
        masks = torch.zeros(1 + len(self.classes), *shown, dtype=torch.bool)
        masks[0] = False if union is None else union.as_subclass(Tensor)[0]
        record = self._records[index]
        if isinstance(record.foreground, Objects):
            own = labels_of(record.label)
            for label, objects in objects_by_label(record.foreground, self.classes).items():
                if label in own:
                    mask = draw_objects(objects, read_size(record.image))
                    masks[1 + label] = self._as_shown(mask, shown)
        return sample._replace(foreground=tv_tensors.Mask(masks))

    def _as_shown(self, mask: Tensor, shown: torch.Size) -> Tensor:
        """A mask (H, W) of the image on disk at the size that the source shows."""
        if mask.shape == shown:
            return mask
        blank = tv_tensors.Image(torch.zeros(1, *mask.shape, dtype=torch.uint8))
        moved = self._transform(Sample(blank, 0, tv_tensors.Mask(mask[None]))).foreground
        assert moved is not None
        return moved.as_subclass(Tensor)[0]


def names_objects(source: Source) -> bool:
    """Whether the annotation of any image names the class of an object that is a label."""
    return isinstance(source, RecordSource) and any(
        isinstance(record.foreground, Objects)
        and set(objects_by_label(record.foreground, source.classes)) & set(labels_of(record.label))
        for record in source.records
    )
