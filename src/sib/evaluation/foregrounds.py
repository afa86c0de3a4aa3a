"""Foregrounds of one label of an image, from annotations that name the class of each object."""

from pathlib import Path

import torch
from torch import Tensor
from torchvision import tv_tensors

from sib.data.objects import objects_by_label
from sib.data.readers.decode import read_size
from sib.data.readers.masks import draw_objects
from sib.data.records import RecordSource
from sib.data.sample import Objects, Sample
from sib.data.source import Source
from sib.data.transforms import JointTransform


class LabelForegrounds:
    """The objects of the label that is explained, where the annotation of an image has them.

    Masks are drawn as they are needed, one for each image of a batch.

    Args:
        source: images with several labels each.
        transform: as the images are transformed; without randomness.
    """

    def __init__(self, source: Source, transform: JointTransform) -> None:
        self.transform = transform
        self.objects: dict[str, tuple[Path, dict[int, Objects]]] = {}
        for record in source.records if isinstance(source, RecordSource) else ():
            if isinstance(record.foreground, Objects):
                found = objects_by_label(record.foreground, source.classes)
                if found or any(record.foreground.classes):
                    self.objects[record.name] = record.image, found

    def select(self, names: list[str], targets: Tensor, union: Tensor) -> tuple[Tensor, Tensor]:
        """The foregrounds of the explained labels of a batch.

        Args:
            names: (B,) of the images.
            targets: (B,) explained labels.
            union: (B, H, W), bool, the foregrounds of all objects.

        Returns:
            (B, H, W), bool, and (B,), bool: where an image has an object of its label. The others
            keep the union.
        """
        found, chosen = union.clone(), torch.zeros(len(names), dtype=torch.bool)
        for place, (name, target) in enumerate(zip(names, targets.tolist(), strict=True)):
            image, objects = self.objects.get(name, (None, {}))
            if image is not None and target in objects:
                found[place] = self._drawn(image, objects[target]).to(found.device)
                chosen[place] = True
        return found, chosen

    def of_labels(self, names: list[str], labels: Tensor, union: Tensor) -> tuple[Tensor, Tensor]:
        """The foregrounds of all labels of a batch.

        Args:
            names: (B,) of the images.
            labels: (B, K), 0 or 1.
            union: (B, 1, H, W), bool, the foregrounds of all objects.

        Returns:
            (B, 1, H, W), the union, empty for an image whose objects have names, and none in view
            belongs to one of its labels; and (P, 1, H, W), one for each label of each image in the
            order of ``labels.nonzero()``, empty where an image has no object of the label.
        """
        pairs = labels.nonzero().tolist()
        own = torch.zeros(len(pairs), *union.shape[1:], dtype=torch.bool)
        for row, (place, label) in enumerate(pairs):
            image, objects = self.objects.get(names[place], (None, {}))
            if image is not None and label in objects:
                own[row, 0] = self._drawn(image, objects[label])
        kept = union.clone()
        for place, name in enumerate(names):
            rows = [row for row, (image, _) in enumerate(pairs) if image == place]
            if name in self.objects and not own[rows].any():
                kept[place] = False
        return kept, own

    def _drawn(self, image: Path, objects: Objects) -> Tensor:
        size = read_size(image)
        mask = tv_tensors.Mask(draw_objects(objects, size)[None])
        blank = tv_tensors.Image(torch.zeros(1, *size, dtype=torch.uint8))
        moved = self.transform(Sample(blank, 0, mask)).foreground
        assert moved is not None
        return moved.as_subclass(Tensor)[0]
