"""Batches of a source, the same whatever the number of worker processes."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from sib.config.choices import CROP_AREA, Augment, Resize
from sib.data.reading import prepare_worker, read_batches
from sib.data.sample import BadSample, Batch, Sample, collate
from sib.data.sampler import Key, KeySampler
from sib.data.source import Source
from sib.data.transforms import JointTransform
from sib.utils.errors import InputError
from sib.utils.image_size import ImageSize


def make_loader(
    source: Source,
    *,
    image_size: ImageSize,
    resize: Resize = "crop",
    batch_size: int,
    augment: Augment = "none",
    crop_area: float = CROP_AREA,
    train: bool,
    seed: int = 0,
    workers: int = 0,
    minimum_batch: int = 2,
    drop_last: bool = False,
    skip_bad: bool = False,
    rank: int = 0,
    ranks: int = 1,
) -> "Loader":
    """Make the loader of one split.

    The order of an epoch depends on (seed, epoch), and the random transform of an image on
    (seed, epoch, index).

    Args:
        source: the images.
        image_size: side of the square images in pixels, or their height and width.
        resize: ``"crop"``, ``"squash"`` or ``"pad"``; see `JointTransform`.
        batch_size: images in a batch.
        augment: ``"none"``, ``"flip"`` or ``"crop"``; see `JointTransform`.
        crop_area: smallest share of the area that ``"crop"`` keeps.
        train: shuffle, and leave out a last batch that is too small.
        seed: seed of order and transforms.
        workers: processes that read images; 0 reads in this process.
        minimum_batch: fewest images in a training batch.
        drop_last: leave out every incomplete training batch.
        skip_bad: leave out images that cannot be read; the batch names them.
        rank: this process's number among those that share each epoch; see `KeySampler`.
        ranks: number of these processes.

    Returns:
        `Loader`.

    Raises:
        InputError: an argument is not allowed.

    Example:
        >>> import sib
        >>> source = sib.data.Digits("train", size=20)
        >>> loader = sib.data.make_loader(source, image_size=48, batch_size=4, train=True)
        >>> next(iter(loader)).images.shape
        torch.Size([4, 3, 48, 48])
    """
    if augment != "none" and not train:
        raise InputError(f"augment must be none where train is False; got {augment!r}")
    if workers < 0:
        raise InputError(f"workers must be at least 0; got {workers}")
    smallest = (batch_size if drop_last else minimum_batch) if train else 1
    sampler = KeySampler(len(source), batch_size, train, seed, smallest, rank, ranks)
    transform = JointTransform(image_size, augment, crop_area, resize)
    return Loader(KeyedDataset(source, transform, seed), sampler, workers, skip_bad)


class Loader:
    """Iterable of `Batch`; a `BadSample` replaces a batch that cannot be read.

    Example:
        >>> import sib
        >>> source = sib.data.Digits("train", size=10)
        >>> loader = sib.data.make_loader(source, image_size=48, batch_size=4, train=False)
        >>> type(loader) is sib.data.Loader, len(loader)
        (True, 3)
    """

    def __init__(
        self,
        dataset: "KeyedDataset",
        sampler: KeySampler,
        workers: int,
        skip_bad: bool = False,
    ) -> None:
        self._sampler, self.skip_bad = sampler, skip_bad
        self._loader = DataLoader(
            dataset,
            batch_sampler=sampler,
            num_workers=workers,
            collate_fn=partial(collate, skip_bad=skip_bad, classes=len(dataset.source.classes)),
            persistent_workers=workers > 0,
            worker_init_fn=prepare_worker,
            pin_memory=torch.cuda.is_available(),
            # a separate generator, since a loader draws a number on each start: measuring between
            # two epochs must not change the random numbers of training
            generator=torch.Generator(),
        )

    def set_epoch(self, epoch: int, start: int = 0) -> None:
        """Choose the epoch of the next iteration, and its first batch.

        Batches before ``start`` are not read.
        """
        self._sampler.epoch, self._sampler.start = epoch, start

    @property
    def start(self) -> int:
        """First batch of the next iteration."""
        return self._sampler.start

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        return len(self._sampler)

    def __iter__(self) -> Iterator[Batch | BadSample]:
        """The batches of the current epoch, beginning with ``start``.

        Raises:
            ReaderDied: a process that reads images ended early.
        """
        return read_batches(self._loader)


class KeyedDataset(Dataset[Any]):
    """A source behind keys (epoch, index), with the transform seeded by the key."""

    def __init__(self, source: Source, transform: JointTransform, seed: int) -> None:
        self.source, self.transform, self.seed = source, transform, seed
        self.names = source.names

    def __getitem__(self, key: Key) -> tuple[str, Sample] | BadSample:
        """The transformed sample with its name, or a sentence about what is wrong with it."""
        name = self.names[key.image]
        try:
            sample = self.source[key.image]
        except InputError as error:
            return BadSample(str(error))
        try:
            return name, self._transformed(sample, key)
        except InputError as error:
            return BadSample(f"{name}: {error}")

    def _transformed(self, sample: Sample, key: Key) -> Sample:
        if not self.transform.random:
            return self.transform(sample)
        # torch.manual_seed would reseed every GPU as well, and nothing would put that back
        generator = torch.default_generator
        state = generator.get_state()
        try:
            generator.manual_seed(_mix(self.seed, key))
            return self.transform(sample)
        finally:
            generator.set_state(state)


def first_batch(loader: "Loader") -> Batch:
    """The first batch of a loader; with ``skip_bad`` the first that has an image.

    Raises:
        InputError: an image of it cannot be read.
    """
    batches = iter(loader)
    batch = next(batches)
    if isinstance(batch, BadSample) and loader.skip_bad:
        batch = next((each for each in batches if not isinstance(each, BadSample)), batch)
    if isinstance(batch, BadSample):
        raise InputError(batch.message)
    return batch


def _mix(seed: int, key: Key) -> int:
    entropy = np.random.SeedSequence((seed, key.epoch, key.image))
    return int(entropy.generate_state(1, np.uint64)[0])
