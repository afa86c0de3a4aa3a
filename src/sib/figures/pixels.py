"""A map over an image as pixels, without axes."""

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray
from torch import Tensor

OUTLINE = (0, 213, 255)


def overlay_pixels(
    image: Tensor, attribution: Tensor, foreground: Tensor, signed: bool | None = None
) -> NDArray[np.uint8]:
    """A map over the grey image, with the foreground outlined; stronger values are more opaque.

    Args:
        image: uint8 (3, H, W).
        attribution: (H, W) in [−1, 1].
        foreground: bool (1, H, W).
        signed: red for positive and blue for negative values, else from dark to bright. Default:
            whether the map has a negative value.

    Returns:
        uint8 (H, W, 3).
    """
    values = attribution.double().numpy()
    signed = bool((values < 0).any()) if signed is None else signed
    scaled = (values + 1) / 2 if signed else values
    colours = colormaps["RdBu_r" if signed else "inferno"](scaled)[..., :3] * 255
    opacity = 0.15 + 0.75 * np.abs(values).clip(0, 1)[..., None]
    grey = image.double().mean(dim=0).numpy()[..., None]
    mixed = opacity * colours + (1 - opacity) * grey
    return outline(mixed.round().astype(np.uint8), foreground)


def outline(pixels: NDArray[np.uint8], foreground: Tensor) -> NDArray[np.uint8]:
    """Draw the inner border of the foreground into the pixels."""
    inside = foreground[0].numpy()
    padded = np.pad(inside, 1, mode="edge")
    core = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    pixels[inside & ~core] = OUTLINE
    return pixels
