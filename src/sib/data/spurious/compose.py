"""Composes a picture from an object and a background."""

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from sib.data.source import Source
from sib.metrics.behaviour import remove_object


def scaled(source: Source, place: int, side: int) -> tuple[Tensor, Tensor]:
    """An image whose shorter side is at most ``side``, with its foreground.

    Returns:
        uint8 (3, H, W), and bool (1, H, W), all False where it is unknown.
    """
    sample = source[place]
    image = sample.image.as_subclass(Tensor)
    if sample.foreground is None:
        mask = torch.zeros(1, *image.shape[1:], dtype=torch.bool)
    else:
        mask = sample.foreground.as_subclass(Tensor)
    if min(image.shape[1:]) > side:
        image = F.resize(image, [side], InterpolationMode.BILINEAR)
        size = list(image.shape[1:])
        small = F.resize(mask.view(torch.uint8), size, InterpolationMode.NEAREST_EXACT)
        mask = small.view(torch.bool)
    return image, mask


def is_usable(mask: Tensor) -> bool:
    """Whether there is an object, with something around it."""
    return bool(mask.any() and not mask.all())


def background_colour(image: Tensor, mask: Tensor) -> np.ndarray:
    """(3,) mean colour of the background."""
    return image[:, ~mask[0]].double().mean(dim=1).numpy()


def empty_scene(image: Tensor, mask: Tensor) -> Tensor:
    """An image with its object covered, uint8 (3, H, W).

    Copies of the background's largest strip keep its texture. If the object's box leaves no strip,
    the colours of its outline spread inwards.
    """
    batch, inside = image[None].float(), mask[None]
    filled = remove_object(batch, inside, "tiled")
    if filled.isnan().any():
        filled = remove_object(batch, inside, "diffusion")
    return filled[0].round().clamp(0, 255).byte()


def cropped(scene: Tensor, size: tuple[int, int], generator: Generator) -> Tensor:
    """A part of a scene with size (H, W), flipped at random; a scene that is too small is
    enlarged."""
    height, width = scene.shape[1:]
    factor = max(size[0] / height, size[1] / width)
    if factor > 1:
        larger = [max(round(height * factor), size[0]), max(round(width * factor), size[1])]
        scene = F.resize(scene, larger, InterpolationMode.BILINEAR)
    top = int(generator.integers(scene.shape[1] - size[0] + 1))
    left = int(generator.integers(scene.shape[2] - size[1] + 1))
    part = scene[:, top : top + size[0], left : left + size[1]]
    return part.flip(2) if generator.random() < 0.5 else part


def pasted(image: Tensor, mask: Tensor, background: Tensor) -> Tensor:
    """The object in front of the background: F x + (1 − F) β, with F of 0 and 1."""
    return torch.where(mask, image, background)
