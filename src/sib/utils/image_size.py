"""Sizes of a model's input: the side of a square, or height and width."""

import re

from sib.utils.errors import InputError

ImageSize = int | tuple[int, int]
"""Side of a square, or height and width, in pixels."""
SMALLEST = 2
"""Pixels of a side; torch cannot resize all images to fewer."""
WRITTEN = re.compile(r"([0-9]{1,9})(?:[xX×]([0-9]{1,9}))?")
MEANT = re.compile(
    r"[\s(\[]*([0-9]{1,9})(?:\s*(?:[*,;:/xX×-]|\s|by)\s*([0-9]{1,9}))?(?:\.0|px|[\s)\],])*"
)
"""What people write in place of that."""
LONGEST = 60
"""Most characters of what is compared with it, which takes quadratic time."""


def height_width(size: ImageSize) -> tuple[int, int]:
    """Height and width of a size."""
    return (size, size) if isinstance(size, int) else size


def parse_size(text: str, argument: str = "--image-size") -> ImageSize:
    """The size in ``N`` or ``HxW``.

    Args:
        text: such as ``224``, or ``192x256`` for 192 rows of 256 pixels.
        argument: names it in the message.

    Returns:
        An integer for a square, (H, W) otherwise.

    Raises:
        InputError: it is anything else, or too small.
    """
    found = WRITTEN.fullmatch(text.strip())
    if found is None:
        raise InputError(
            f"{argument} must be N for a square or HxW for height and width, such as 224 or "
            f"192x256; got {text!r}{size_meant(text)}"
        )
    height, width = int(found[1]), int(found[2] or found[1])
    return check_size(height if height == width else (height, width), argument)


def size_meant(text: str) -> str:
    """For messages: how to write a size of one or two whole numbers; empty for anything else."""
    sides = MEANT.fullmatch(text) if len(text) <= LONGEST else None
    return f": write {'x'.join(filter(None, sides.groups()))}" if sides else ""


def check_size(size: ImageSize | str, argument: str = "image_size") -> ImageSize:
    """A size, an integer where it is square; text as `parse_size` reads it.

    Raises:
        InputError: it is not one or two integers, or a side is below `SMALLEST`.
    """
    if isinstance(size, str):
        return parse_size(size, argument)
    sides = size if isinstance(size, (tuple, list)) else (size, size)
    if len(sides) != 2 or not all(type(side) is int for side in sides):
        raise InputError(f"{argument} must be an integer, or height and width; got {size!r}")
    if min(sides) < SMALLEST:
        raise InputError(f"{argument} must be at least {SMALLEST}; got {plain_size(size)}")
    height, width = sides
    return height if height == width else (height, width)


def plain_size(size: ImageSize) -> int | str:
    """A size as files hold it and the command line takes it: an integer, or ``HxW``."""
    height, width = height_width(size)
    return height if height == width else f"{height}x{width}"


def size_in_words(size: ImageSize) -> str:
    """A size for people: ``48 × 48``, or ``64 × 48 (height × width)``."""
    height, width = height_width(size)
    return f"{height} × {width}" + ("" if height == width else " (height × width)")
