"""Some images of a source."""

from collections.abc import Sequence

from sib.data.sample import Sample
from sib.data.source import Source


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
