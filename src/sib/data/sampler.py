"""The order of the images in an epoch."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from sib.utils.errors import InputError


class Key(NamedTuple):
    """One image in one epoch; it also seeds the image's random numbers."""

    epoch: int
    image: int


class KeySampler:
    """Batches of keys, in an order that depends only on seed and epoch.

    The keys contain the epoch, so worker processes that outlive an epoch need no message about the
    next one.

    Args:
        size: number of images.
        batch_size: images in a batch, at least 1.
        shuffle: a new order in each epoch; otherwise 0, 1, 2, …
        seed: seed of the orders, at least 0.
        smallest: a last batch with fewer images is left out.
        rank: number of the process that these batches are for, 0 ≤ rank < ranks.
        ranks: processes that share an epoch. Each has its own part of every ``ranks ·
            batch_size`` images of the order. Shuffled, the parts are equal, and up to ``ranks − 1``
            last images are left out; in order, every image belongs to one process.

    Raises:
        InputError: an argument is not allowed.
    """

    def __init__(
        self,
        size: int,
        batch_size: int,
        shuffle: bool,
        seed: int,
        smallest: int,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        if batch_size < 1:
            raise InputError(f"batch_size must be at least 1; got {batch_size}")
        if seed < 0:
            raise InputError(f"seed must be at least 0; got {seed}")
        self.size, self.batch_size, self.shuffle = size, batch_size, shuffle
        self.seed, self.smallest = seed, smallest
        self.rank, self.ranks = rank, ranks
        self.epoch, self.start = 0, 0

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        full, rest = divmod(self.size, self.batch_size * self.ranks)
        return full + (self._share(rest) >= max(self.smallest, 1))

    def __iter__(self) -> Iterator[list[Key]]:
        """The batches of the current epoch, beginning with batch ``start``."""
        epoch = self.epoch
        order = self._order(epoch)
        step = self.batch_size * self.ranks
        for batch in range(self.start, len(self)):
            indices = self._own(order[batch * step : (batch + 1) * step])
            yield [Key(epoch, int(index)) for index in indices]

    def _own(self, indices: np.ndarray) -> np.ndarray:
        if not self.shuffle:
            return indices[self.rank :: self.ranks]
        share = self._share(len(indices))
        return indices[self.rank * share : (self.rank + 1) * share]

    def _share(self, images: int) -> int:
        """This process's part of so many images."""
        return images // self.ranks if self.shuffle else len(range(self.rank, images, self.ranks))

    def _order(self, epoch: int) -> np.ndarray:
        if not self.shuffle:
            return np.arange(self.size)
        return np.random.default_rng((self.seed, epoch)).permutation(self.size)
