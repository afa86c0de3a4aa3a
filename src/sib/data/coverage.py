"""Foregrounds that may be wrong: whole images, empty ones, inverted masks, greys, colours."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from torch import Tensor

from sib.data.readers.decode import read_size
from sib.data.readers.masks import read_background, read_foreground, read_values
from sib.data.sample import MaskFile, MaskRule, Record
from sib.utils.errors import InputError

SAMPLE = 16
"""Number of masks that are inspected before a run, spread over the set."""
EDGE = 0.95
"""Share of an image's edge from which a foreground counts as surrounding what it leaves out."""
MOST, FEWEST = 0.8, 3
"""Smallest share and number of such masks for which all seem to be inverted."""


NEAR_BLACK = 10
"""Greys that lossy formats make of black; as many below white."""
LEAST_EVEN, MOST_SHOWN = 0.005, 4
"""Least share of an image that an even grey takes, and how many greys are listed."""


class Coverage(NamedTuple):
    """The number of foregrounds, and how many of them look wrong."""

    masks: int = 0
    whole: int = 0
    """Those that cover their whole image."""
    around: int = 0
    """Those that hold the edge of their image and leave out a part inside."""
    empty: int = 0
    """Those without a pixel."""


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
        empty = found.empty + (not foreground.any())
        found = Coverage(found.masks + 1, found.whole + whole, found.around + around, empty)
    return found


def describe_greys(records: Iterable[Record]) -> list[str]:
    """A sentence about masks with even areas of grey, as of labels or of pixels in doubt."""
    found = [
        greys_of(record.foreground)
        for record in records
        if isinstance(record.foreground, MaskFile)
        and record.foreground.rule == MaskRule.BINARY_OR_HALF
    ]
    holding = [greys for greys in found if greys]
    if not holding:
        return []
    shown = ", ".join(map(str, holding[0][:MOST_SHOWN]))
    return [
        f"{len(holding)} of {len(found)} masks hold even areas of grey, such as {shown}: 128 and "
        "above are foreground, lower values are not"
    ]


def describe_colours(records: Iterable[Record]) -> list[str]:
    """A sentence about masks of colours, as of labels: what is taken for their background."""
    masks = [record.foreground for record in records if isinstance(record.foreground, MaskFile)]
    found = [background for mask in masks if (background := _background(mask))]
    if not found:
        return []
    taken = " or ".join(sorted(set(found)))
    return [
        f"{len(found)} of {len(masks)} masks hold colours, as of labels: everything but {taken} is "
        "foreground"
    ]


def _background(mask: MaskFile) -> str:
    try:
        return read_background(mask)
    except InputError:  # which is reported when the mask is read
        return ""


def greys_of(mask: MaskFile) -> list[int]:
    """Greys between black and white that fill areas of a mask, not only its outlines."""
    try:
        values = read_values(mask)
    except InputError:  # which is reported when the mask is read
        return []
    if values.max() <= 1:
        return []
    inner = values[1:-1, 1:-1]
    neighbours = (values[:-2, 1:-1], values[2:, 1:-1], values[1:-1, :-2], values[1:-1, 2:])
    is_even = np.logical_and.reduce([inner == each for each in neighbours])
    counts = np.bincount(inner[is_even], minlength=256)[NEAR_BLACK : 256 - NEAR_BLACK]
    return (np.flatnonzero(counts >= LEAST_EVEN * values.size) + NEAR_BLACK).tolist()


def describe_coverage(found: Coverage) -> list[str]:
    """Sentences about masks that look wrong."""
    sentences = []
    if found.whole:
        sentences.append(f"{found.whole} of {found.masks} foregrounds cover their whole image")
    if found.empty:
        sentences.append(f"{found.empty} of {found.masks} foregrounds are empty")
    if found.around >= max(FEWEST, MOST * found.masks):
        sentences.append(
            f"{found.around} of {found.masks} foregrounds hold the edge of their image and not "
            "the middle: if the objects are black in the masks, invert these"
        )
    return sentences
