"""What every data set offers."""

from collections.abc import Sequence
from typing import Protocol

from sib.data.sample import Label, Sample


class Source(Protocol):
    """A sequence of images with labels and, where annotated, foregrounds.

    Example:
        >>> import sib
        >>> def describe(source: sib.data.Source) -> str:
        ...     return f"{len(source)} images of {len(source.classes)} classes"
        >>> describe(sib.data.Digits("test", size=20))
        '20 images of 10 classes'
    """

    @property
    def labels(self) -> Sequence[Label]:
        """The class of each image, or its labels, without reading it."""
        ...

    @property
    def classes(self) -> list[str]:
        """The K class names, by label."""
        ...

    @property
    def names(self) -> Sequence[str]:
        """A name for each image, for messages: a relative path, or ``digits/train/17``."""
        ...

    @property
    def annotated(self) -> bool:
        """Whether any image comes with a foreground."""
        ...

    def __len__(self) -> int:
        """Number of images."""
        ...

    def __getitem__(self, index: int) -> Sample:
        """Image ``index`` at its own size.

        Raises:
            InputError: its files cannot be read.
        """
        ...


class Divisible(Source, Protocol):
    """A source from which a part can be held out."""

    def subset(self, indices: Sequence[int]) -> "Divisible":
        """A source of the images at these indices, in that order."""
        ...
