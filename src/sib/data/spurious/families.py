"""Families of backgrounds: images of similar colours, and any number of drawn patterns."""

from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from sib.data.datasets.textures import HUES, PATTERNS, two_colours

Colours = NDArray[np.float64]
"""(N, 3), mean colour of each image's background."""


GOLDEN_ANGLE = (3 - 5**0.5) / 2
"""In turns."""


class Cut(NamedTuple):
    """Which side of a colour's value an image is on; families are the ends of the branches."""

    channel: int
    value: float
    below: "Cut | int"
    above: "Cut | int"


def cut_colours(colours: Colours, count: int, first: int = 0) -> Cut | int:
    """Divide colours into families of about the same size, by the median cut.

    The set is divided at a quantile of the channel that varies most, between two distinct values.
    The parts are divided likewise, until there are as many parts as families.

    Args:
        colours: (N, 3).
        count: number of families, at least 1.
        first: number of the first family.

    Returns:
        The cuts; families have the numbers ``first`` to ``first + count − 1``.

    Raises:
        ValueError: there are fewer different colours than families.

    Source: Heckbert 1982, Color image quantization for frame buffer display.

    Example:
        >>> cuts = cut_colours(np.array([[0.0, 0, 0], [1, 0, 0], [2, 0, 0]]), 3)
        >>> families_of(np.array([[1.9, 0, 0], [0.4, 0, 0]]), cuts).tolist()
        [2, 0]
    """
    if count == 1:
        return first
    if _different(colours) < count:
        raise ValueError("there are fewer different colours than families")
    channel = int(np.argmax(colours.std(axis=0)))
    value = _boundary(np.sort(colours[:, channel]), (count // 2) / count)
    left = colours[:, channel] < value
    wanted = round(count * left.mean())
    below = min(max(wanted, 1, count - _different(colours[~left])), _different(colours[left]))
    below = min(below, count - 1)
    return Cut(
        channel,
        value,
        cut_colours(colours[left], below, first),
        cut_colours(colours[~left], count - below, first + below),
    )


def _boundary(ordered: NDArray[np.float64], share: float) -> float:
    """A cut between two distinct values, as close as possible to a share of all."""
    gaps = np.flatnonzero(np.diff(ordered)) + 1
    rank = gaps[np.abs(gaps - share * len(ordered)).argmin()]
    return float((ordered[rank - 1] + ordered[rank]) / 2)


def _different(colours: Colours) -> int:
    return len(np.unique(colours, axis=0))


def families_of(colours: Colours, cuts: Cut | int) -> NDArray[np.int64]:
    """(N,) the family of each colour."""
    if isinstance(cuts, int):
        return np.full(len(colours), cuts)
    left = colours[:, cuts.channel] < cuts.value
    found = np.empty(len(colours), dtype=np.int64)
    found[left] = families_of(colours[left], cuts.below)
    found[~left] = families_of(colours[~left], cuts.above)
    return found


def members(colours: Colours, cuts: Cut | int, means: Colours) -> list[NDArray[np.int64]]:
    """The images of each family; for an empty family, the image closest to its mean colour.

    Args:
        colours: (N, 3), colours of the images.
        cuts: the families.
        means: (K, 3), mean colour of each family.
    """
    found = families_of(colours, cuts)
    nearest = ((colours[:, None] - means) ** 2).sum(axis=2).argmin(axis=0)
    own = [np.flatnonzero(found == family) for family in range(len(means))]
    return [rows if len(rows) else nearest[[k]] for k, rows in enumerate(own)]


def pattern(family: int, generator: Generator, side: int) -> NDArray[np.uint8]:
    """Draw a background of a family.

    The six patterns alternate. With more families, each further round turns the hues by the golden
    angle, which keeps rounds apart. Beyond about four rounds the hues come close.

    Args:
        family: its number, at least 0.
        generator: source of random numbers.
        side: side of the square in pixels.

    Returns:
        (side, side, 3), RGB.
    """
    kind, turn = family % len(PATTERNS), family // len(PATTERNS)
    shift = turn * GOLDEN_ANGLE
    low, high = HUES[kind]
    field = PATTERNS[kind](generator, side)
    drawn = two_colours(field, (low + shift, high + shift), generator)
    return (drawn * 255).round().astype(np.uint8)
