"""Ten families of backgrounds for the built-in images: six drawn, four cut from photographs."""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from PIL import Image
from sklearn.datasets import load_sample_image


class Region(NamedTuple):
    """A rectangle of a photograph, in pixels."""

    left: int
    top: int
    right: int
    bottom: int


class PhotoFamily(NamedTuple):
    """One motif of a photograph; test images are cut from a different place than training
    images."""

    photo: str
    train: Region
    test: Region
    exposure: tuple[float, float]


PHOTOS = (
    PhotoFamily("china.jpg", Region(85, 115, 325, 225), Region(70, 232, 345, 330), (0.85, 1.2)),
    PhotoFamily("china.jpg", Region(372, 308, 474, 427), Region(474, 303, 562, 427), (0.85, 1.2)),
    PhotoFamily("flower.jpg", Region(185, 95, 430, 212), Region(190, 222, 430, 340), (0.6, 0.85)),
    PhotoFamily("flower.jpg", Region(0, 50, 165, 300), Region(450, 60, 640, 360), (0.9, 1.3)),
)
PHOTO_SIDES = (56, 86)
"""Sides of the square crops before they are resized, in pixels."""


def background(family: int, generator: Generator, side: int, test: bool) -> np.ndarray:
    """Draw one background.

    Args:
        family: 0 to 9.
        generator: its random numbers.
        side: of the image in pixels.
        test: cut photographs at the places kept for the test.

    Returns:
        (side, side, 3), RGB in [0, 1].
    """
    if family < len(PATTERNS):
        pattern, hues = PATTERNS[family], HUES[family]
        return two_colours(pattern(generator, side), hues, generator)
    return _photo_crop(PHOTOS[family - len(PATTERNS)], generator, side, test)


def smooth_noise(generator: Generator, side: int, cells: int) -> np.ndarray:
    """A random surface with about ``cells`` bumps along a side, (side, side), in [0, 1]."""
    weights = spline(np.linspace(0, cells, side)[:, None] - np.arange(-1, cells + 2))
    field = weights @ generator.random((cells + 3, cells + 3)) @ weights.T
    low, high = field.min(), field.max()
    return (field - low) / (high - low)


def spline(distance: np.ndarray) -> np.ndarray:
    """The cubic B-spline, a smooth bump of width 4 and sum 1 over the integers."""
    near = np.abs(distance)
    inner = 2 / 3 - near**2 * (1 - near / 2)
    outer = np.clip(2 - near, 0, None) ** 3 / 6
    return np.where(near < 1, inner, outer)


def _stripes(generator: Generator, side: int) -> np.ndarray:
    u, _ = _turned_grid(generator, side)
    return _wave(u * generator.uniform(5, 8))


def _checks(generator: Generator, side: int) -> np.ndarray:
    u, v = _turned_grid(generator, side)
    frequency = generator.uniform(2.5, 4)
    return 0.5 + (_wave(u * frequency) - 0.5) * (_wave(v * frequency) - 0.5) * 2


def _dots(generator: Generator, side: int) -> np.ndarray:
    u, v = _turned_grid(generator, side)
    frequency = generator.uniform(3, 5)
    height = np.cos(2 * np.pi * u * frequency) + np.cos(2 * np.pi * v * frequency)
    return np.clip(0.5 + (height - 0.6) * 1.2, 0, 1)


def _clouds(generator: Generator, side: int) -> np.ndarray:
    octaves = [smooth_noise(generator, side, cells) / cells for cells in (2, 4, 8, 16)]
    return _stretched(np.sum(octaves, axis=0))


def _rings(generator: Generator, side: int) -> np.ndarray:
    u, v = _turned_grid(generator, side)
    bend = 0.15 * smooth_noise(generator, side, 3)
    distance = np.hypot(u - generator.uniform(-0.6, 0.6), v - generator.uniform(-0.6, 0.6))
    return _wave((distance + bend) * generator.uniform(5, 8))


def _grain(generator: Generator, side: int) -> np.ndarray:
    u, v = _turned_grid(generator, side)
    fibres = _wave(3 * smooth_noise(generator, side, 4) + 4 * u + 0.5 * v)
    return _stretched(fibres + 0.8 * smooth_noise(generator, side, 20))


def _turned_grid(generator: Generator, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates over the image, side 1, turned and shifted at random."""
    line = np.arange(side) / side - 0.5
    angle = generator.uniform(0, np.pi)
    shift = generator.uniform(0, 1, 2)
    across, along = np.cos(angle), np.sin(angle)
    u = across * line[None, :] + along * line[:, None]
    v = across * line[:, None] - along * line[None, :]
    return u + shift[0], v + shift[1]


def _wave(phase: np.ndarray) -> np.ndarray:
    """A wave of period 1 with steep flanks, in [0, 1]."""
    return np.clip(0.5 + 0.9 * np.sin(2 * np.pi * phase), 0, 1)


def _stretched(field: np.ndarray) -> np.ndarray:
    return (field - field.min()) / (field.max() - field.min())


PATTERNS: tuple[Callable[[Generator, int], np.ndarray], ...] = (
    _stripes,
    _checks,
    _dots,
    _clouds,
    _rings,
    _grain,
)
HUES = ((0.61, 0.12), (0.92, 0.98), (0.76, 0.14), (0.55, 0.58), (0.28, 0.36), (0.07, 0.09))
"""Hues of the low and the high places of each pattern."""


def two_colours(field: np.ndarray, hues: tuple[float, float], generator: Generator) -> np.ndarray:
    """Two colours of the family's hues mixed by a field, under an uneven light."""
    ends = [
        hsv(hue + generator.uniform(-0.03, 0.03), generator.uniform(*saturation), value)
        for hue, saturation, value in (
            (hues[0], (0.45, 0.85), generator.uniform(0.3, 0.5)),
            (hues[1], (0.2, 0.6), generator.uniform(0.6, 0.85)),
        )
    ]
    light = 0.8 + 0.3 * smooth_noise(generator, field.shape[0], 2)
    mixed = ends[0] + field[..., None] * (ends[1] - ends[0])
    return np.clip(mixed * light[..., None], 0, 1)


def hsv(hue: float, saturation: float, value: float) -> np.ndarray:
    """The RGB colour (3,) in [0, 1] of a hue (turns), a saturation and a value."""
    shifted = np.abs((hue * 6 + np.array([0, 4, 2])) % 6 - 3) - 1
    return value * (1 - saturation + saturation * np.clip(shifted, 0, 1))


def _photo_crop(family: PhotoFamily, generator: Generator, side: int, test: bool) -> np.ndarray:
    region = family.test if test else family.train
    extent = int(generator.integers(*PHOTO_SIDES))
    left = int(generator.integers(region.left, region.right - extent + 1))
    top = int(generator.integers(region.top, region.bottom - extent + 1))
    box = (left, top, left + extent, top + extent)
    # Pillow resizes bytes with integers, so every machine gets the same ones
    crop = _photo(family.photo).crop(box).resize((side, side), Image.Resampling.BICUBIC)
    colours = np.asarray(crop) / 255
    colours = colours[:, ::-1] if generator.random() < 0.5 else colours
    return np.clip(colours * generator.uniform(*family.exposure), 0, 1)


@cache
def _photo(name: str) -> Image.Image:
    return Image.fromarray(load_sample_image(name))
