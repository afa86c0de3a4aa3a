"""Foregrounds that look wrong: whole images, and objects cut out of a white mask."""

from collections.abc import Iterable
from typing import NamedTuple

from torch import Tensor

from sib.data.readers.decode import read_size
from sib.data.readers.masks import read_foreground
from sib.data.sample import MaskFile, Record
from sib.utils.errors import InputError

SAMPLE = 16
"""Number of masks that are inspected before a run, spread over the set."""
EDGE = 0.95
"""Share of an image's edge from which a foreground counts as surrounding what it leaves out."""
MOST, FEWEST = 0.8, 3
"""Smallest share and number of such masks for which all seem to be inverted."""


class Coverage(NamedTuple):
    """The number of foregrounds, and how many of them look wrong."""

    masks: int = 0
    whole: int = 0
    """Those that cover their whole image."""
    around: int = 0
    """Those that hold the edge of their image and leave out a part inside."""


def is_around(foreground: Tensor) -> bool:
    """Whether a foreground (1, H, W) holds the edge of its image and leaves out a part inside."""
    inner = foreground[:, 1:-1, 1:-1]
    edge = foreground.numel() - inner.numel()
    held = foreground.sum() - inner.sum()
    return bool(held >= EDGE * edge) and not bool(foreground.all())


def coverage_of(records: Iterable[Record]) -> Coverage:
    """Look at the masks of some records; those that cannot be read are left out."""
    found = Coverage()
    for record in records:
        if not isinstance(record.foreground, MaskFile):
            continue
        try:
            foreground = read_foreground(record.foreground, read_size(record.image))
        except InputError:  # which is reported when the image is read
            continue
        whole, around = bool(foreground.all()), is_around(foreground)
        found = Coverage(found.masks + 1, found.whole + whole, found.around + around)
    return found


def describe_coverage(found: Coverage) -> list[str]:
    """Sentences about masks that look wrong."""
    sentences = []
    if found.whole:
        sentences.append(f"{found.whole} of {found.masks} foregrounds cover their whole image")
    if found.around >= max(FEWEST, MOST * found.masks):
        sentences.append(
            f"{found.around} of {found.masks} foregrounds hold the edge of their image and not "
            "the middle: if the objects are black in the masks, invert these"
        )
    return sentences
