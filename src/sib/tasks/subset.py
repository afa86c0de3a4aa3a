"""Which steps have terms, and how many images of a batch the terms are computed for."""

from typing import NamedTuple

from sib.functional import checks

SMALLEST = 2
"""Fewest images of either part of a batch: batch norm in train mode needs two."""


class RegularizedSubset(NamedTuple):
    """The steps and images that have terms; all of them by default."""

    every_n_steps: int = 1
    fraction: float = 1.0

    @classmethod
    def checked(cls, every_n_steps: int, fraction: float) -> "RegularizedSubset":
        """The subset, or ValueError where a number is out of its range."""
        checks.whole_number("every_n_steps", every_n_steps)
        if not isinstance(fraction, (int, float)) or not 0 < fraction <= 1:
            raise ValueError(f"fraction must be above 0 and at most 1; got {fraction!r}")
        return cls(every_n_steps, fraction)

    def has_step(self, step: int) -> bool:
        """Whether a step has terms."""
        return step % self.every_n_steps == 0

    def num_images(self, batch: int, min_batch: int) -> int:
        """The number of images with terms, at least ``min_batch``; all where few would be left."""
        count = max(round(self.fraction * batch), min_batch, SMALLEST)
        return count if batch - count >= SMALLEST else batch
