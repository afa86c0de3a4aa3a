"""The order of the images in an epoch."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from sib.errors import InputError


class Key(NamedTuple):
    """One image in one epoch; it names the image's random numbers too."""

    epoch: int
    image: int


class KeySampler:
    """Batches of keys, an order that depends on seed and epoch alone.

    The epoch travels inside the keys, so worker processes that outlive an epoch need no message
    about the next one.

    Args:
        size: number of images.
        batch_size: images in a batch, at least 1.
        shuffle: a new order in each epoch; otherwise 0, 1, 2, …
        seed: of the orders, at least 0.
        smallest: a last batch with fewer images is left out.

    Raises:
        InputError: an argument that is not allowed.
    """

    def __init__(self, size: int, batch_size: int, shuffle: bool, seed: int, smallest: int) -> None:
        if batch_size < 1:
            raise InputError(f"batch_size must be at least 1; got {batch_size}")
        if seed < 0:
            raise InputError(f"seed must be at least 0; got {seed}")
        self.size, self.batch_size, self.shuffle = size, batch_size, shuffle
        self.seed, self.smallest = seed, smallest
        self.epoch, self.start = 0, 0

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        full, rest = divmod(self.size, self.batch_size)
        return full + (rest >= max(self.smallest, 1))

    def __iter__(self) -> Iterator[list[Key]]:
        """The batches of the current epoch, from batch ``start`` on."""
        epoch = self.epoch
        order = self._order(epoch)
        for batch in range(self.start, len(self)):
            indices = order[batch * self.batch_size : (batch + 1) * self.batch_size]
            yield [Key(epoch, int(index)) for index in indices]

    def _order(self, epoch: int) -> np.ndarray:
        if not self.shuffle:
            return np.arange(self.size)
        return np.random.default_rng((self.seed, epoch)).permutation(self.size)
