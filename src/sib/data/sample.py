"""What passes between the data sets, the transforms and the loop."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torchvision import tv_tensors

from sib.data.shapes import Bitmap, Polygon, Runs


class MaskRule(Enum):
    """Which stored values of a mask file are foreground."""

    LEEDS = "values 1 and 3 of the values 0 to 3"
    HALF = "values of at least 128"
    TRIMAP = "values 1 (the animal) and 3 (its outline) of the values 1 to 3"
    BINARY_OR_HALF = "1 where the mask holds 0 and 1 only, values of at least 128 elsewhere"


@dataclass(frozen=True)
class MaskFile:
    """A foreground given as an image file."""

    path: Path
    rule: MaskRule


@dataclass(frozen=True)
class Box:
    """A foreground given as a box, in pixels from the image's upper left corner."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True)
class BoxFile:
    """A foreground given as the boxes of an XML annotation; see `annotation.read_boxes`."""

    path: Path


@dataclass(frozen=True)
class Objects:
    """A foreground given as annotated objects, in pixels of the upright image."""

    shapes: tuple[Box | Polygon | Runs | Bitmap, ...]
    classes: tuple[str | None, ...] = field(default=(), repr=False)
    """Names of their classes, None where it is not given; empty where none is. Not a part of the
    fingerprint, since the union does not depend on it."""


Foreground = MaskFile | BoxFile | tuple[Box, ...] | Objects
"""Where the foreground of an image is found; several boxes or objects are united."""


Label = int | tuple[int, ...]
"""The class of an image; with several labels an image, the numbers of those that it has."""


@dataclass(frozen=True, slots=True)
class Record:
    """One image on disk.

    Args:
        image: its file.
        label: its class, 0 ≤ label < K; with several labels an image, those that it has.
        foreground: where its foreground is found; None if it is unknown.
        name: its path below the data set's folder, for messages.

    Example:
        >>> from pathlib import Path
        >>> import sib
        >>> record = sib.data.Record(Path("photos/cat/1.jpg"), 0, foreground=None, name="cat/1.jpg")
        >>> record.label
        0
    """

    image: Path
    label: Label
    foreground: Foreground | None
    name: str


class Sample(NamedTuple):
    """One image in memory.

    Example:
        >>> import sib
        >>> image, label, foreground = sib.data.Digits("train", size=10)[3]
        >>> image.shape, label, foreground.shape
        (torch.Size([3, 48, 48]), 3, torch.Size([1, 48, 48]))
    """

    image: tv_tensors.Image
    """uint8 (3, H, W), RGB."""
    label: Label
    foreground: tv_tensors.Mask | None
    """bool (1, H, W); None for unknown. (1 + K, H, W) of a `LabelObjectSource`."""


class Batch(NamedTuple):
    """Samples of one size, stacked.

    Example:
        >>> import sib
        >>> source = sib.data.Digits("train", size=10)
        >>> loader = sib.data.make_loader(source, image_size=48, batch_size=4, train=False)
        >>> batch = next(iter(loader))
        >>> batch.labels, batch.names[0]
        (tensor([0, 1, 2, 3]), 'digits/train/0')
    """

    images: Tensor
    """uint8 (B, 3, H, W)."""
    labels: Tensor
    """int64 (B,); float32 (B, K) of 0 and 1 for several labels an image."""
    foreground: Tensor
    """bool (B, 1, H, W), False everywhere where it is unknown."""
    annotated: Tensor
    """bool (B,), whether the foreground is known and has a pixel inside this image."""
    names: list[str]
    """Of the images, for messages."""
    skipped: tuple[str, ...] = ()
    """What was wrong with the images that were left out."""
    label_foregrounds: Tensor | None = None
    """bool (B, K, H, W), the foreground of each label; None unless the source gives them."""


class BadSample(NamedTuple):
    """A sample that could not be read, carried as data out of a worker process.

    An exception in a worker would reach the main process as a traceback inside a traceback, and a
    user needs one sentence.

    Example:
        >>> import sib
        >>> sib.data.collate([sib.data.BadSample("cat/1.jpg is cut off")]).message
        'cat/1.jpg is cut off'
    """

    message: str
    others: tuple[str, ...] = ()
    """What was wrong with the other images of a batch in which there is nothing else."""

    def as_batch(self) -> Batch:
        """A batch without images, which names those that were left out."""
        return Batch(
            images=torch.empty(0, 3, 0, 0, dtype=torch.uint8),
            labels=torch.empty(0, dtype=torch.int64),
            foreground=torch.empty(0, 1, 0, 0, dtype=torch.bool),
            annotated=torch.empty(0, dtype=torch.bool),
            names=[],
            skipped=(self.message, *self.others),
        )


def collate(
    samples: Sequence[tuple[str, Sample] | BadSample], skip_bad: bool = False, classes: int = 0
) -> Batch | BadSample:
    """Stack named samples of one size into a batch.

    Args:
        samples: (name, sample) pairs, or `BadSample` in their place.
        skip_bad: leave bad samples out, and name them in ``skipped``.
        classes: K, which several labels an image need.

    Returns:
        `Batch`, or the first `BadSample` where there is one; with ``skip_bad``, where there is
        nothing else.

    Example:
        >>> import sib
        >>> samples = [(str(index), sib.data.Digits("train", size=2)[index]) for index in range(2)]
        >>> sib.data.collate(samples).labels
        tensor([0, 1])
    """
    good = [item for item in samples if not isinstance(item, BadSample)]
    bad = [item for item in samples if isinstance(item, BadSample)]
    if bad and not (skip_bad and good):
        return bad[0]._replace(others=tuple(item.message for item in bad[1:] if skip_bad))
    foregrounds = [_known(sample) for _, sample in good]
    stacked = torch.stack(foregrounds)
    foreground = stacked[:, :1]
    return Batch(
        images=torch.stack([sample.image.as_subclass(Tensor) for _, sample in good]),
        labels=label_tensor([sample.label for _, sample in good], classes),
        foreground=foreground,
        annotated=foreground.flatten(1).any(dim=1),
        names=[name for name, _ in good],
        skipped=tuple(item.message for item in bad),
        label_foregrounds=stacked[:, 1:] if stacked.shape[1] > 1 else None,
    )


def label_tensor(labels: Sequence[Label], classes: int) -> Tensor:
    """int64 (B,); for several labels an image float32 (B, ``classes``) of 0 and 1."""
    if not any(isinstance(label, tuple) for label in labels):
        return torch.tensor(labels, dtype=torch.int64)
    found = torch.zeros(len(labels), classes)
    for row, label in enumerate(labels):
        found[row, list(label)] = 1  # type: ignore[arg-type]
    return found


def class_counts(labels: Sequence[Label], classes: int) -> list[int]:
    """(K,) images of each class, or with each label."""
    counts = [0] * classes
    for label in labels:
        for each in labels_of(label):
            counts[each] += 1
    return counts


def labels_of(label: Label) -> tuple[int, ...]:
    """The labels of an image, one or several."""
    return label if isinstance(label, tuple) else (label,)


def names_of(label: Label, classes: Sequence[str]) -> str:
    """The names of an image's labels, for people."""
    return ", ".join(classes[each] for each in labels_of(label)) or "no label"


def _known(sample: Sample) -> Tensor:
    if sample.foreground is None:
        return torch.zeros(1, *sample.image.shape[-2:], dtype=torch.bool)
    return sample.foreground.as_subclass(Tensor)
