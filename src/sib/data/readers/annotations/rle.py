"""Run lengths as COCO writes them.

Read here and not by pycocotools, because its decoder is C code that trusts its input, and
because the format takes few lines. The tests hold it against pycocotools.
"""

from sib.data.readers.annotations.entry import shown
from sib.data.readers.decode import MAX_PIXELS
from sib.data.shapes import Runs
from sib.utils.errors import InputError

LONGEST = 35
"""Bits of a compressed number; the largest count has 28, and a difference one more."""


def read_runs(counts: object, size: object, where: str) -> Runs:
    """Run lengths from ``counts`` and ``size`` of a COCO segmentation.

    Args:
        counts: a list of lengths, or text in which they are compressed.
        size: height and width.
        where: names the object in messages.

    Returns:
        `Runs`.

    Raises:
        InputError: the size is not allowed, or the lengths do not sum to height · width.
    """
    height, width = _size(size, where)
    lengths = decompress(counts, where) if isinstance(counts, str) else _whole(counts)
    if not lengths or min(lengths) < 0:
        raise InputError(
            f"{where}: counts must be a list of whole numbers from 0 on, or text; got "
            f"{shown(counts)}"
        )
    if sum(lengths) != height * width:
        raise InputError(
            f"{where}: the counts sum to {shown(sum(lengths))}, but the mask of {width} × {height} "
            f"has {height * width} pixels"
        )
    return Runs(tuple(lengths), height, width)


def decompress(text: str, where: str) -> list[int]:
    """The numbers in COCO's compressed text.

    A character c holds the six bits of c − 48: five of the number, the lowest first, and one that
    says whether more follow. The last five bits are signed. From the fourth number, each is the
    difference to the number two places before.

    Args:
        text: of the characters ``0`` to ``o``.
        where: names the object in messages.

    Returns:
        The numbers, which may be negative where the text is damaged.

    Raises:
        InputError: another character, a number that is too long, or one that is cut off.

    Source: github.com/cocodataset/cocoapi, ``maskApi``, functions rleToString and rleFrString.
    """
    counts: list[int] = []
    value = bits = 0
    for character in text:
        code = ord(character) - 48
        if not 0 <= code < 64 or bits >= LONGEST:
            raise InputError(f"{where}: the compressed counts are damaged at {character!r}")
        value |= (code & 31) << bits
        bits += 5
        if code & 32:
            continue
        if code & 16:
            value -= 1 << bits
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = bits = 0
    if bits:
        raise InputError(f"{where}: the compressed counts are cut off")
    return counts


def _whole(values: object) -> list[int]:
    """A list of whole numbers; empty if the value is anything else."""
    found = values if isinstance(values, list) else []
    return found if all(type(value) is int for value in found) else []


def _size(size: object, where: str) -> tuple[int, int]:
    sides = _whole(size)
    if len(sides) != 2 or min(sides) < 1 or sides[0] * sides[1] > MAX_PIXELS:
        raise InputError(
            f"{where}: size must be height and width of at most {MAX_PIXELS} pixels; got "
            f"{shown(size)}"
        )
    return sides[0], sides[1]
