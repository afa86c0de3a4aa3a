"""The built-in images: real handwritten digits on backgrounds that may reveal the class."""

from functools import cache
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.random import Generator, SeedSequence, default_rng
from sklearn.datasets import load_digits
from torchvision import tv_tensors

from sib.data.datasets.textures import background, hsv, smooth_noise
from sib.data.sample import Sample
from sib.utils.errors import InputError

Split = Literal["train", "validation", "test"]

FAMILIES = 10
SMALLEST_SIDE = 16
LARGEST_KEPT = 2**28
"""Most bytes of drawn images to keep; a larger set is redrawn in each epoch."""
# Of every ten digit images of a class, seven are for training, one for validation, two for test.
POOLS = {"train": range(0, 7), "validation": range(7, 8), "test": range(8, 10)}
LUMINANCE = np.array([0.299, 0.587, 0.114])


class Digits:
    """Handwritten digits, tinted, on ten families of backgrounds, with exact foregrounds.

    Image i shows a digit of class i mod 10, drawn from scikit-learn's 1,797 scanned digits; the
    three splits use disjoint scans. Its background comes from a family of textures or photograph
    regions: with probability ``background_strength`` from the family of its class, otherwise from
    a family drawn uniformly. So the background alone predicts the class perfectly at 1 and says
    nothing about it at 0. Photographs are cut at other places for the test.

    Each image is a function of (seed, split, i) and the image size; the strength changes which
    family the background comes from and nothing else that is random.

    Args:
        split: ``"train"``, ``"validation"`` or ``"test"``.
        size: number of images, at least 1.
        image_size: side in pixels, at least 16.
        background_strength: in [0, 1].
        seed: at least 0.

    Raises:
        InputError: an argument is not allowed.

    Example:
        >>> import sib
        >>> sample = sib.data.Digits("train", size=10)[3]
        >>> sample.image.shape, sample.label, sample.foreground.shape
        (torch.Size([3, 48, 48]), 3, torch.Size([1, 48, 48]))
    """

    annotated = True

    def __init__(
        self,
        split: Split,
        size: int = 4000,
        image_size: int = 48,
        background_strength: float = 0.5,
        seed: int = 0,
    ) -> None:
        if split not in get_args(Split):
            raise InputError(f"split must be train, validation or test; got {split!r}")
        _at_least("size", size, 1)
        _at_least("image_size", image_size, SMALLEST_SIDE)
        _at_least("seed", seed, 0)
        if not 0 <= background_strength <= 1:
            raise InputError(f"background_strength must lie in [0, 1]; got {background_strength}")
        self.split, self.image_size, self.seed = split, image_size, seed
        self.background_strength = background_strength
        self.classes = [str(digit) for digit in range(10)]
        self.labels = [index % 10 for index in range(size)]
        self.names = [f"digits/{split}/{index}" for index in range(size)]
        self._drawn: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def __len__(self) -> int:
        """Number of images."""
        return len(self.labels)

    def __getitem__(self, index: int) -> Sample:
        """Image ``index``, drawn on first use and kept if the set is small enough."""
        index = range(len(self))[index]
        drawn = self._drawn.get(index) or self._draw(index)
        if len(self) * 4 * self.image_size**2 <= LARGEST_KEPT:
            self._drawn[index] = drawn
        image, foreground = (part.clone() for part in drawn)
        return Sample(tv_tensors.Image(image), self.labels[index], tv_tensors.Mask(foreground))

    def __getstate__(self) -> dict[str, Any]:
        """Drop the drawn images, so that a worker process starts quickly."""
        return self.__dict__ | {"_drawn": {}}

    def family(self, index: int) -> int:
        """The family of image ``index``'s background, 0 to 9."""
        generator = self._generators(index)[0]
        own, other = generator.random() < self.background_strength, generator.integers(FAMILIES)
        return self.labels[index] if own else int(other)

    def _draw(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        _, place, paint, digit = self._generators(index)
        scene = background(self.family(index), place, self.image_size, self.split == "test")
        scans = _scans(self.split, self.labels[index])
        alpha = _ink(scans[digit.integers(len(scans))], digit, self.image_size)
        image = _composite(scene, alpha, paint)
        bytes_ = np.rint(image * 255).astype(np.uint8).transpose(2, 0, 1)
        return torch.from_numpy(bytes_.copy()), torch.from_numpy(alpha > 0.5)[None]

    def _generators(self, index: int) -> list[Generator]:
        """Separate random numbers for family, background, colours and digit."""
        split = get_args(Split).index(self.split)
        return [default_rng(part) for part in SeedSequence((self.seed, split, index)).spawn(4)]


def _ink(scan: np.ndarray, generator: Generator, side: int) -> np.ndarray:
    """The digit's opacity (side, side) in [0, 1]: turned, shifted, smooth, with a soft edge."""
    extent = generator.uniform(0.62, 0.75)
    angle = generator.normal(0, np.deg2rad(6))
    shift = generator.uniform(-0.07, 0.07, 2)
    line = (np.arange(side) + 0.5) / side - 0.5
    right, down = line[None, :] - shift[0], line[:, None] - shift[1]
    columns = (np.cos(angle) * right + np.sin(angle) * down) * 8 / extent + 3.5
    rows = (np.cos(angle) * down - np.sin(angle) * right) * 8 / extent + 3.5
    height = _interpolated(scan, rows, columns)
    return np.clip((height - generator.uniform(0.42, 0.52)) / 0.25 + 0.5, 0, 1)


def _interpolated(scan: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """The scan (8, 8) at fractional positions (H, W), zero around it; four by four neighbours."""
    padded = np.pad(scan, 6)
    tops, lefts = (np.floor(places).clip(-4, 9).astype(int) for places in (rows, columns))
    across = [_cubic(columns - (lefts + step)) for step in range(-1, 3)]
    height = np.zeros(rows.shape)
    for down in range(-1, 3):
        weighted = [across[i] * padded[tops + down + 6, lefts + i + 5] for i in range(4)]
        height += _cubic(rows - (tops + down)) * np.sum(weighted, axis=0)
    return height


def _cubic(distance: np.ndarray) -> np.ndarray:
    """Keys' cubic kernel: it keeps the scan's values, so that loops stay open."""
    near = np.abs(distance)
    inner = 1 - near**2 * (2.5 - 1.5 * near)
    outer = 0.5 * (near - 1) * (near - 2) ** 2
    return np.where(near < 1, inner, np.where(near < 2, -outer, 0))


def _composite(scene: np.ndarray, alpha: np.ndarray, generator: Generator) -> np.ndarray:
    """The digit over the scene in a colour that its surroundings make visible, with noise."""
    around = (scene @ LUMINANCE * alpha).sum() / alpha.sum()
    colour = _contrasting(around, generator)
    shade = 1.1 - 0.2 * smooth_noise(generator, len(scene), 2)
    mixed = scene + alpha[..., None] * (colour * shade[..., None] - scene)
    return np.clip(mixed + generator.normal(0, 0.015, scene.shape), 0, 1)


def _contrasting(around: float, generator: Generator) -> np.ndarray:
    """A colour of random hue, lighter than a luminance by a clear step."""
    luminance = min(around + generator.uniform(0.32, 0.48), 0.95)
    pure = hsv(generator.random(), generator.uniform(0.5, 1), 1)
    own = pure @ LUMINANCE
    if luminance <= own:
        return pure * luminance / own
    return pure + (1 - pure) * (luminance - own) / (1 - own)


@cache
def _scans(split: str, label: int) -> np.ndarray:
    """The scanned digits (N, 8, 8) of one class in one split, in [0, 1]."""
    digits = load_digits()
    scans = digits.images[digits.target == label] / 16
    return scans[np.isin(np.arange(len(scans)) % 10, list(POOLS[split]))]


def _at_least(name: str, value: int, smallest: int) -> None:
    if value < smallest:
        raise InputError(f"{name} must be at least {smallest}; got {value}")
