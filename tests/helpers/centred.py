"""Images with a known object in their middle."""

import torch

SIDE = 9


def case(count=12, classes=3, side=SIDE, seed=0):
    """Images with an object in the middle; the second has none, the third is all object."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(count, 3, side, side, generator=generator)
    foreground = torch.zeros(count, 1, side, side, dtype=torch.bool)
    foreground[:, :, 3:6, 2:6] = True
    foreground[1], foreground[2] = False, True
    return images, torch.arange(count) % classes, foreground
