"""What the pixels of a mask file say, whichever way a tool stores them."""

from pathlib import Path

import numpy as np
from PIL import Image

from sib.data.readers.decode import grey16_to_grey8, is_grey16
from sib.utils.errors import InputError

DARK = 32
"""Colours whose brightest channel is below are black, as far as lossy formats keep it."""
MOST_COLOURS = 32
"""Most colours of a label map, once each channel is reduced to two bits; a photograph has more of
the 64."""
INSIDE, OUTSIDE = 255, 0
BLACK, FIRST = "black", "index 0 of the palette"
"""What may be the background in a mask of colours."""
MOST_LABELS, VOID = 32, 255
"""Label maps hold values below the first, and the second for pixels that have no label."""


def grey_values(image: Image.Image, path: Path, lossy: bool = False) -> np.ndarray:
    """A mask as grey values, in which foreground is light.

    1. Opacity, where it varies and some pixels are transparent: many tools store the shape there,
       over an even colour.
    2. The colours of a palette, where those in use are grey. A palette may begin with white.
    3. A coloured palette holds labels: everything but black is foreground or, where no label is
       black, everything but index 0.
    4. A colour image, likewise: everything but black.
    5. Grey as it is; of 16 bits the upper 8, unless 8 hold all values or there are two, of which
       one is 0; floating-point numbers of 0 to 1 from one half on.

    Args:
        image: loaded and upright.
        path: for messages.
        lossy: whether the format changes values slightly; then there is no mask of 0 and 1.

    Returns:
        uint8 (H, W).

    Raises:
        InputError: the image is a photograph, has colours and no black, or numbers that are not
            finite, or a lossy format holds values of 0 and 1.
    """
    values, _ = _values(image, path, lossy)
    if lossy and 0 < values.max() < 128:
        raise InputError(
            f"{path} holds no value above {values.max()} in a format that changes values slightly; "
            "save it as PNG, or with white as the foreground"
        )
    return values


def background_colour(image: Image.Image, path: Path) -> str:
    """What is taken for the background of a mask of colours; empty for other masks.

    Arguments and errors as in `grey_values`.
    """
    return _values(image, path, lossy=True)[1]


def _values(image: Image.Image, path: Path, lossy: bool) -> tuple[np.ndarray, str]:
    """The grey values, and what is taken for the background of a mask of colours."""
    if is_grey16(image):
        return _of_grey16(image, path), ""
    if image.mode == "F":
        return _of_floats(np.asarray(image), path), ""
    if image.has_transparency_data:
        alpha = np.array(image.convert("RGBA").getchannel("A"))
        # opaque throughout: an export may leave 254 beside 255
        if alpha.min() != alpha.max() and alpha.min() < 128:
            return alpha, ""
    if image.mode in ("P", "PA"):
        return _of_palette(image)
    if image.mode in ("L", "1"):
        values = np.array(image, dtype=np.uint8)
        if not lossy:
            _check_labels(values, path)
        return values, ""
    return _of_colours(np.asarray(image.convert("RGB")), path)


def _of_grey16(image: Image.Image, path: Path) -> np.ndarray:
    wide = np.asarray(image).astype(np.int64).clip(0, 65535)
    if wide.max() < 256:
        return wide.astype(np.uint8)
    used = np.unique(wide)
    if len(used) == 2 and used[0] == 0:
        return np.where(wide > 0, INSIDE, OUTSIDE).astype(np.uint8)
    if wide.max() < 2**15:
        raise InputError(
            f"{path} holds no value above {wide.max()} of 65535 in 16 bits; a mask holds 0 and "
            "another value, or grey values of which 32768 and above are foreground"
        )
    return np.array(grey16_to_grey8(image))


def _check_labels(values: np.ndarray, path: Path) -> None:
    """Raise InputError for labels with 255 where there is none, as PASCAL VOC's are."""
    counts = np.bincount(values.ravel(), minlength=256)
    labels, between = counts[1:MOST_LABELS], counts[MOST_LABELS:VOID]
    if labels.any() and counts[VOID] and not between.any():
        raise InputError(
            f"{path} holds labels, such as {1 + int(labels.argmax())}, and {VOID}, which stands "
            "for pixels without one: save a mask of 0 and 255"
        )


def _of_palette(image: Image.Image) -> tuple[np.ndarray, str]:
    indices = np.array(image.getchannel(0) if image.mode == "PA" else image, dtype=np.uint8)
    flat = np.zeros(768, np.uint8)
    palette = (image.getpalette("RGB") or [])[:768]
    flat[: len(palette)] = palette
    colours = flat.reshape(256, 3)
    used = colours[np.unique(indices)]
    if (used == used[:, :1]).all():
        return colours[:, 0][indices], ""
    black = (colours == 0).all(axis=1)
    has_black = bool((used == 0).all(axis=1).any())
    background = black[indices] if has_black else indices == 0
    values = np.where(background, OUTSIDE, INSIDE).astype(np.uint8)
    return values, BLACK if has_black else FIRST


def _of_colours(pixels: np.ndarray, path: Path) -> tuple[np.ndarray, str]:
    """Of (H, W, 3)."""
    brightest = pixels.max(axis=2)
    if (brightest - pixels.min(axis=2)).max() <= DARK:
        return np.array(Image.fromarray(pixels).convert("L")), ""
    coarse = pixels >> 6
    codes = (coarse * np.array([16, 4, 1], np.uint8)).sum(axis=2)
    if len(np.unique(codes)) > MOST_COLOURS:
        raise InputError(f"{path} is a photograph; a mask is grey, or has a colour for each label")
    if brightest.min() >= DARK:
        raise InputError(
            f"{path} has colours and no black, which is the background in a mask of colours: paint "
            "the background black, or save the mask in black and white"
        )
    return np.where(brightest >= DARK, INSIDE, OUTSIDE).astype(np.uint8), BLACK


def _of_floats(values: np.ndarray, path: Path) -> np.ndarray:
    if not np.isfinite(values).all():
        raise InputError(f"{path} holds numbers that are not finite")
    if values.max() <= 1:
        return np.where(values >= 0.5, INSIDE, OUTSIDE).astype(np.uint8)
    return values.clip(0, 255).astype(np.uint8)
