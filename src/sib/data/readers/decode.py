"""Read image files: their size from the header, their pixels as RGB."""

import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision import tv_tensors

from sib.data.readers.kinds import FORMATS
from sib.utils.errors import InputError

ORIENTATION = 0x0112
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns an image of an EXIF orientation upright."""
TURNED = (5, 6, 7, 8)
"""Those that exchange width and height."""
ValueRange = tuple[int, int]
"""The values that become black and white, the first below the second."""
MAX_PIXELS = 2**27
"""Of an image or mask: 134 million, as 11,585 × 11,585. As RGB they fill 0.4 GB; a file of a few
kilobytes can claim any number."""


def read_image(path: Path, value_range: ValueRange | None = None) -> tv_tensors.Image:
    """Read an image as RGB, upright.

    The EXIF orientation is applied. Transparency is laid over white. Grey, palette, CMYK and
    other colour models are converted; 16-bit grey is divided by 257. Of several frames the first
    is taken.

    Args:
        path: a file of one of `FORMATS`, of at most `MAX_PIXELS`.
        value_range: values of 16-bit grey that become black and white, in place of 0 and 65535; up
            to 255 those of 8 bits too.

    Returns:
        uint8 (3, H, W).

    Raises:
        InputError: the file is missing, damaged, cut off, too large, or holds floating-point
            numbers.
    """
    with opened(path) as image:
        size, orientation = _size(image), orientation_of(image)
        image.load()
        turned = upright(image, orientation)
        if (turned.height, turned.width) != size:
            raise InputError(f"{path} is damaged: its pixels are not as many as its header says")
        pixels = np.asarray(_to_rgb(turned, path, value_range)).transpose(2, 0, 1)
    return tv_tensors.Image(torch.from_numpy(pixels.copy(order="C")))


def read_size(path: Path) -> tuple[int, int]:
    """Height and width of an upright image, from the file's header.

    Raises:
        InputError: the file is missing, its header is damaged or names too many pixels.
    """
    with opened(path) as image:
        return _size(image)


def upright(image: Image.Image, orientation: int | None = None) -> Image.Image:
    """A loaded image, turned as an EXIF orientation says; its own where none is given."""
    orientation = orientation or orientation_of(image)
    return image.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else image


def parse_value_range(text: str) -> ValueRange:
    """The two values of ``LOW-HIGH``.

    Raises:
        InputError: it is not of this form, or 0 ≤ low < high ≤ 65535 does not hold.
    """
    low, _, high = text.partition("-")
    known = all(part.isascii() and part.isdecimal() and len(part) < 6 for part in (low, high))
    if not known or not int(low) < int(high) <= 65535:
        raise InputError(
            f"value_range must be LOW-HIGH with 0 ≤ LOW < HIGH ≤ 65535, as 0-4095; got {text!r}"
        )
    return int(low), int(high)


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """An image file, open; whatever goes wrong with it becomes one sentence.

    Raises:
        InputError: the file is missing, damaged, cut off, or has more than `MAX_PIXELS`.
    """
    try:
        with warnings.catch_warnings():
            # Pillow's own limits: it warns below ours, and refuses above
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            facts = os.stat(path)
            if not stat.S_ISREG(facts.st_mode):  # a pipe would be waited for
                raise InputError(f"{path} is not a regular file, but a pipe or a device")
            if not facts.st_size:
                raise InputError(f"{path} cannot be read as an image: it is empty")
            with Image.open(path, formats=FORMATS) as image:
                _check_pixels(image, path)
                yield image
    except (InputError, MemoryError):
        raise
    except FileNotFoundError:
        link = f": it is a link to {os.readlink(path)}" if path.is_symlink() else ""
        raise InputError(f"{path} is missing{link}") from None
    except Image.DecompressionBombError:
        raise InputError(_too_large(path, "far more")) from None
    # Pillow lets many kinds of exceptions through from damaged files, even TypeError
    except Exception as error:
        reason = str(error).replace(f" {str(path)!r}", "") or type(error).__name__
        raise InputError(f"{path} cannot be read as an image: {reason}") from None


def _size(image: Image.Image) -> tuple[int, int]:
    """Height and width of the upright image, before its pixels are read."""
    width, height = image.size
    return (width, height) if orientation_of(image) in TURNED else (height, width)


def orientation_of(image: Image.Image) -> int | None:
    """The EXIF orientation that is still to be applied; None where there is none."""
    # TIFF files are turned by Pillow; a PNG's own getexif would decode all of its pixels
    return None if image.format == "TIFF" else Image.Image.getexif(image).get(ORIENTATION)


def _check_pixels(image: Image.Image, path: Path) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise InputError(_too_large(path, f"{image.width} × {image.height}"))


def _too_large(path: Path, found: str) -> str:
    return (
        f"{path} has {found} pixels; an image or mask may have {MAX_PIXELS:,}, so make it smaller"
    )


def grey16_to_grey8(image: Image.Image, value_range: ValueRange | None = None) -> Image.Image:
    """A 16-bit grey image as 8 bits.

    Divided by 257, so that white stays white, or stretched:
    round(255 · (v − low) / (high − low)), cut off at 0 and 255.

    Args:
        image: 16-bit grey.
        value_range: low and high.
    """
    values = np.asarray(image).astype(np.int64).clip(0, 65535)
    low, high = value_range or (0, 65535)
    stretched = (2 * 255 * (values - low) + (high - low)) // (2 * (high - low))
    return Image.fromarray(stretched.clip(0, 255).astype(np.uint8))


def is_grey16(image: Image.Image) -> bool:
    """Whether Pillow holds the image as 16-bit grey; ``I`` is how it opens some 16-bit PNGs."""
    return image.mode == "I" or image.mode.startswith("I;16")


def _check_grey16(image: Image.Image, path: Path) -> None:
    values = np.asarray(image)
    low, high = int(values.min()), int(values.max())
    if not 0 <= low <= high <= 65535:
        raise InputError(
            f"{path} holds the values {low} to {high}; images of 8 and of 16 bits are read"
        )


def _stretched(image: Image.Image, value_range: ValueRange) -> Image.Image:
    """An 8-bit image with a range of its values stretched to 0 to 255; opacity stays."""
    if image.mode not in ("L", "LA", "RGB", "RGBA"):
        return image
    low, high = value_range
    table = [max(0, min(255, round(255 * (v - low) / (high - low)))) for v in range(256)]
    same = list(range(256))
    return image.point([v for band in image.getbands() for v in (same if band == "A" else table)])


def _to_rgb(image: Image.Image, path: Path, value_range: ValueRange | None) -> Image.Image:
    if image.mode == "F":
        raise InputError(f"{path} holds floating-point numbers; save it with 8 or 16 bits")
    if is_grey16(image):
        _check_grey16(image, path)
        image = grey16_to_grey8(image, value_range)
    elif value_range and value_range[1] <= 255:
        image = _stretched(image, value_range)
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image.convert("RGB")
