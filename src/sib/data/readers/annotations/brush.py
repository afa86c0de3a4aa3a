"""Brush strokes as Label Studio writes them: the packed run lengths of an RGBA picture.

Read here and not by its own converter, because that one trusts its input, brings many packages, and
the format takes few lines.
"""

import numpy as np

from sib.data.readers.annotations.entry import shown
from sib.data.readers.decode import MAX_PIXELS
from sib.data.shapes import Runs
from sib.utils.errors import InputError

OPAQUE = 128
"""Lowest opacity that belongs to the stroke."""


class _Bits:
    """Whole numbers from a row of bits, the highest bit first."""

    def __init__(self, content: bytes, where: str) -> None:
        self._content, self._where = content, where
        self._place = 0

    def read(self, count: int) -> int:
        """The number in the next bits."""
        first, last = self._place, self._move(count)
        whole = int.from_bytes(self._content[first // 8 : -(-last // 8)])
        return (whole >> (-last % 8)) & ((1 << count) - 1)

    def read_bytes(self, count: int) -> np.ndarray:
        """Numbers of eight bits each."""
        first, last = self._place, self._move(8 * count)
        part = np.frombuffer(self._content[first // 8 : -(-last // 8)], dtype=np.uint8)
        bits = np.unpackbits(part)[first % 8 : first % 8 + 8 * count]
        return np.packbits(bits)

    def _move(self, count: int) -> int:
        self._place += count
        if self._place > 8 * len(self._content):
            raise InputError(f"{self._where}: the rle of a brush stroke is cut off")
        return self._place


def read_brush(rle: object, size: tuple[int, int], where: str) -> Runs:
    """The mask of a brush stroke: where the opacity is at least a half.

    After the number of values (32 bits), their width (5 bits) and four widths of lengths (4 bits
    each) come blocks: a bit for whether one value is repeated, two bits for which width the length
    has, the length, and one value or as many as the length says. Lengths and widths are stored
    minus one.

    Args:
        rle: numbers from 0 to 255.
        size: height and width of the image.
        where: names the object in messages.

    Returns:
        `Runs`.

    Raises:
        InputError: it is damaged, or not of an RGBA picture of this size.

    Source: github.com/thi-ng/umbrella, package ``rle-pack``.
    """
    height, width = size
    try:
        bits = _Bits(bytes(rle if isinstance(rle, list) else [-1]), where)
    except (TypeError, ValueError):
        raise InputError(
            f"{where}: rle must be a list of numbers from 0 to 255; got {shown(rle)}"
        ) from None
    if height * width > MAX_PIXELS:
        raise InputError(f"{where}: an image has at most {MAX_PIXELS} pixels; got {width * height}")
    count, word = bits.read(32), bits.read(5) + 1
    if count != 4 * height * width or word != 8:
        raise InputError(
            f"{where}: the rle of a brush stroke must hold 4 values of 8 bits for each of the "
            f"{width} × {height} pixels; got {count} of {word}"
        )
    return Runs(tuple(_runs(bits, count, where)), height, width, along_rows=True)


def _runs(bits: _Bits, count: int, where: str) -> list[int]:
    """Run lengths along the rows, by the opacity, which is the last of each pixel's four values.

    Time and memory grow with the file, not with the picture that it claims.
    """
    widths = [bits.read(4) + 1 for _ in range(4)]
    runs = [0]
    first = 0
    while first < count:
        is_repeated = bits.read(1)
        end = first + 1 + bits.read(widths[bits.read(2)])
        if end > count:
            raise InputError(
                f"{where}: the rle of a brush stroke holds more than its {count} values"
            )
        if is_repeated:
            _extend(runs, bits.read(8) >= OPAQUE, end // 4 - first // 4)
        else:
            for value in bits.read_bytes(end - first)[(3 - first) % 4 :: 4].tolist():
                _extend(runs, value >= OPAQUE, 1)
        first = end
    return runs


def _extend(runs: list[int], inside: bool, length: int) -> None:
    """Add pixels to the last run, or begin the next one, if they are of the other kind."""
    if length and inside != (len(runs) % 2 == 0):
        runs.append(0)
    runs[-1] += length
