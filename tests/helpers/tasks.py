"""A batch and an objective for tests of tasks, and the gradients that they leave."""

import torch

import sib


def batch(size=4, side=32, classes=5, dtype=torch.float32):
    """Random images (B, 3, H, H) and labels (B,)."""
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(size, 3, side, side, generator=generator).to(dtype)
    return images, torch.randint(classes, (size,), generator=generator)


def gradients(model):
    """A copy of each parameter's gradient."""
    return [None if p.grad is None else p.grad.clone() for p in model.parameters()]


def strong(**options):
    """An objective whose gradient is not drowned by cross-entropy's."""
    return sib.SpatialIB(foreground_weight=1.0, background_weight=1e8, window_size=9, **options)
