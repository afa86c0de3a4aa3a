"""Which values images use: cameras often fill 12 of 16 bits, and label-like scans a few of 8."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from sib.data.readers.decode import is_grey16, opened
from sib.data.sample import Record
from sib.utils.errors import InputError

SAMPLE = 64
"""Number of images that are inspected before a run, spread over the set."""
DARK = 2**15
"""A highest value below which less than half of the range is used."""


FRAMED = ("TIFF", "GIF", "PNG", "WEBP", "AVIF")
"""Formats whose further frames are images of their own, unlike the previews of a phone's JPEG."""
DARK8 = 2**6
"""The same for 8-bit images, of which a night scene uses half of the range."""


class Depth(NamedTuple):
    """What is known of the values of some images."""

    low: int
    high: int
    images: int
    """Number of 16-bit grey images; where it is 0, the values mean nothing."""
    colour: int
    """Number of 16-bit colour images, of which the upper 8 bits are read."""
    dark8: tuple[int, int] | None = None
    """Least and largest value of the 8-bit images, where none of them reaches `DARK8`."""
    framed: int = 0
    """Number of images with several frames or pages, of which the first is read."""
    transparent: int = 0
    """Number of images with transparent pixels, which are laid over white."""

    @property
    def is_dark(self) -> bool:
        """Whether some kind of image uses a small part of its range."""
        return bool(self.images and self.high < DARK) or self.dark8 is not None

    @property
    def is_odd(self) -> bool:
        """Whether a part of what the images hold is not used, or they look dark."""
        return self.is_dark or bool(self.colour or self.framed or self.transparent)


def values_used(records: Iterable[Record]) -> Depth:
    """The values that images use; unreadable images are left out.

    8-bit images are decoded until the first one that is not dark.
    """
    low, high, images, colour, framed, transparent = 65535, 0, 0, 0, 0, 0
    low8, high8, dark8 = 255, 0, False
    for record in records:
        try:
            with opened(record.image) as image:
                colour += _is_colour16(image)
                framed += image.format in FRAMED and getattr(image, "n_frames", 1) > 1
                transparent += _is_transparent(image)
                if is_grey16(image):
                    values = np.asarray(image)
                    low, high = min(low, int(values.min())), max(high, int(values.max()))
                    images += 1
                elif high8 < DARK8 and image.mode in ("L", "RGB"):
                    least, most = _extremes(image)
                    low8, high8, dark8 = min(low8, least), max(high8, most), True
        except InputError:  # which is reported when the image is read
            continue
    dark = (low8, high8) if dark8 and high8 < DARK8 else None
    return Depth(low, high, images, colour, dark, framed, transparent)


def _is_transparent(image: Image.Image) -> bool:
    """Whether a pixel of an image is transparent, in whole or in part."""
    if not image.has_transparency_data:
        return False
    return int(_extremes(image.convert("RGBA").getchannel("A"))[0]) < 255


def _extremes(image: Image.Image) -> tuple[int, int]:
    extremes = np.array(image.getextrema())
    return int(extremes.min()), int(extremes.max())


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
    if depth.dark8 and not depth.dark8[1]:
        sentences.append("8-bit images are black: all values that were looked at are 0")
    elif depth.dark8:
        low, high = depth.dark8
        sentences.append(
            f"8-bit images use the values {low} to {high} of 0 to 255, so they look nearly black; "
            f"--input.value-range 0-{2 ** high.bit_length() - 1} stretches them"
        )
    if depth.transparent:
        many = "images have" if depth.transparent > 1 else "image has"
        sentences.append(
            f"{depth.transparent} {many} transparent pixels, which are laid over white"
        )
    if depth.framed:
        several = "images have" if depth.framed > 1 else "image has"
        sentences.append(
            f"{depth.framed} {several} several frames or pages, of which the first is read"
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
