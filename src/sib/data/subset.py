"""Some images of a source."""

from collections.abc import Sequence

import numpy as np

from sib.data.sample import Sample
from sib.data.source import Source
from sib.utils.errors import InputError, sift


class SubsetSource:
    """Some images of a source.

    Args:
        source: source of all images.
        indices: indices of those to keep, in order.
    """

    def __init__(self, source: Source, indices: Sequence[int]) -> None:
        self.source, self.indices = source, indices
        self.labels = [source.labels[index] for index in indices]
        self.names = [source.names[index] for index in indices]
        self.classes, self.annotated = source.classes, source.annotated

    def __len__(self) -> int:
        """Number of images."""
        return len(self.indices)

    def __getitem__(self, index: int) -> Sample:
        """As the source gives it."""
        return self.source[self.indices[index]]


def limited(source: Source, limit: int | None) -> Source:
    """At most ``limit`` images, spread over the source; see `spaced_indices`."""
    if limit is None or limit >= len(source):
        return source
    return SubsetSource(source, spaced_indices(limit, len(source)))


def without_unreadable(source: Source, name: str) -> tuple[Source, list[str]]:
    """The images of a source that can be read to the end, and what is wrong with the others.

    Args:
        source: every image of it is read once.
        name: of the data set, for the message.

    Raises:
        InputError: none can be read.
    """
    kept, problems = sift(range(len(source)), source.__getitem__)
    if problems and not kept:
        raise InputError(f"no image of {name} can be read: {problems[0]}")
    return (SubsetSource(source, kept), problems) if problems else (source, [])


def spaced_indices(count: int, total: int) -> list[int]:
    """At most ``count`` indices, one drawn from each of as many equal parts; always the same.

    A fixed step could meet a single class only, where classes alternate.
    """
    count = min(count, total)
    edges = [index * total // count for index in range(count + 1)]
    draws = np.random.default_rng(0).random(count)
    return [
        low + int(draw * (high - low))
        for low, high, draw in zip(edges[:-1], edges[1:], draws, strict=True)
    ]
