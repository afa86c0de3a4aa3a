"""Which values 16-bit images use: cameras often fill 12 of the 16 bits."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from sib.data.readers.decode import is_grey16, opened
from sib.data.sample import Record
from sib.utils.errors import InputError

SAMPLE = 64
"""Images that are looked at before a run, spread over the set."""
DARK = 2**15
"""A highest value below which less than half of the range is used."""


class Depth(NamedTuple):
    """What is known of the 16-bit images among some."""

    low: int
    high: int
    images: int
    """Number of 16-bit grey images; where it is 0, the values mean nothing."""
    colour: int
    """Number of 16-bit colour images, of which the upper 8 bits are read."""


def values_used(records: Iterable[Record]) -> Depth:
    """The least and the largest value of 16-bit grey images; unreadable ones are left out."""
    low, high, images, colour = 65535, 0, 0, 0
    for record in records:
        try:
            with opened(record.image) as image:
                colour += _is_colour16(image)
                if is_grey16(image):
                    values = np.asarray(image)
                    low, high = min(low, int(values.min())), max(high, int(values.max()))
                    images += 1
        except InputError:  # which is reported when the image is read
            continue
    return Depth(low, high, images, colour)


def spread_over(records: Sequence[Record], count: int = SAMPLE) -> list[Record]:
    """At most ``count`` records, evenly spread."""
    step = max(1, -(-len(records) // count))
    return [records[index] for index in range(0, len(records), step)]


def describe_depth(depth: Depth) -> list[str]:
    """Sentences about images that look nearly black at 8 bits."""
    sentences = []
    if depth.images:
        dark = ", so they look nearly black" if depth.high < DARK else ""
        white = 2 ** max(depth.high.bit_length(), 1) - 1
        advice = f"; --input.value-range 0-{white} stretches them" if dark else ""
        sentences.append(
            f"16-bit images use the values {depth.low} to {depth.high} of 0 to 65535{dark}{advice}"
        )
    if depth.colour:
        sentences.append(
            f"{depth.colour} images have 16 bits in each of three channels, of which the upper 8 "
            "are read"
        )
    return sentences


def _is_colour16(image: object) -> bool:
    tiles = getattr(image, "tile", None) or []
    mode = str(getattr(image, "mode", ""))
    raw = [str(part) for tile in tiles for part in np.atleast_1d(np.array(tile[3:], object))]
    return mode.startswith("RGB") and any(";16" in part for part in raw)
