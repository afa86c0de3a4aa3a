"""Whether the logits depend on the places of a layer's map, seen from their gradient."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from sib.models.axes import Reshape
from sib.models.mode import evaluation_mode
from sib.models.outputs import logits_in

IMAGES = 4
"""Noise images whose gradients are taken together: a maximum over places has one place an image."""
NEEDED = 0.5
"""Share of the places that must have a gradient."""


def gradients_at(model: nn.Module, images: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
    """The gradient of the logits at layers, for a few noise images.

    Args:
        model: classifier (B, C, H, W) → (B, K).
        images: (B, C, H, W) that it takes; for their size alone.
        names: of layers that give a tensor.

    Returns:
        By name, for each layer that has a gradient and gives one output an image.
    """
    kept: dict[str, Tensor] = {}
    noise = torch.randn(IMAGES, *images.shape[1:], generator=torch.Generator().manual_seed(1))
    with evaluation_mode(model), torch.enable_grad(), _keeping(model, names, kept):
        logits = logits_in(model(noise.to(images).requires_grad_()))
    outputs = {
        name: output
        for name, output in kept.items()
        if output.requires_grad and output.shape[0] == IMAGES
    }
    if not outputs or not logits.requires_grad:
        return {}
    found = torch.autograd.grad(logits.sum(), list(outputs.values()), allow_unused=True)
    return {name: each for name, each in zip(outputs, found, strict=True) if each is not None}


def places_count(gradient: Tensor, reshape: Reshape | None) -> bool:
    """Whether half of the places of a map or more have a gradient.

    The tokens of places fail after the last attention of a class token, where only that token is
    read.

    Args:
        gradient: as `gradients_at` gives it.
        reshape: gradient → (B, C, h, w), or None where it is one already.
    """
    map_ = gradient if reshape is None else reshape(gradient)
    return float((map_ != 0).any(dim=1).any(dim=0).float().mean()) >= NEEDED


def may_count(gradient: Tensor) -> bool:
    """Whether the places can count in one of the orders that the axes may have."""
    used = (gradient != 0).any(dim=0)
    if used.ndim == 2:
        return float(used.any(dim=1).float().mean()) >= NEEDED
    return max(float(used.any(dim=axis).float().mean()) for axis in (0, 2)) >= NEEDED


@contextmanager
def _keeping(model: nn.Module, names: Sequence[str], kept: dict[str, Tensor]) -> Iterator[None]:
    """Keep the last output of each layer."""

    def keep(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: object, output: Tensor) -> None:
            kept[name] = output

        return hook

    handles = [model.get_submodule(name).register_forward_hook(keep(name)) for name in names]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
