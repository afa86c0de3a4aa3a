"""The shapes of a model's outputs when an image passes through it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from sib.models.mode import evaluation_mode
from sib.models.outputs import logits_in


class Trace(NamedTuple):
    """A forward pass of one image, without its values."""

    shapes: dict[str, torch.Size]
    """Shape of each module's last output, in the order of the calls. B is 1."""
    kinds: dict[str, str]
    """Type of the output of each module that was called."""
    outputs: int
    """K, the size of the model's output; 0 where it is not (B, K)."""
    memory: dict[object, Any]
    """Cached facts about the layers."""


_known: WeakKeyDictionary[nn.Module, dict[object, Trace]] = WeakKeyDictionary()


def trace(model: nn.Module, images: Tensor) -> Trace:
    """Pass the first image through a model, in evaluation mode, and record every output's shape.

    The result is cached for each model and image size, because training needs it at every step. It
    is recomputed when a module of the model has been replaced.

    Args:
        model: classifier (B, C, H, W) → (B, K).
        images: (B, C, H, W) that it takes.

    Returns:
        `Trace`.
    """
    structure = hash(tuple(id(module) for module in model.modules()))
    key = (structure, *images.shape[1:])
    known = _known.setdefault(model, {})
    if key not in known:
        known[key] = _trace(model, images)
    return known[key]


def _trace(model: nn.Module, images: Tensor) -> Trace:
    shapes: dict[str, torch.Size] = {}
    kinds: dict[str, str] = {}
    with evaluation_mode(model), torch.no_grad(), recorded_shapes(model, shapes, kinds):
        output = model(images[:1].detach())
    logits = logits_in(output)
    if isinstance(logits, Tensor) and logits.ndim == 2:
        return Trace(shapes, kinds, logits.shape[1], {})
    return Trace(shapes, kinds, 0, {})


@contextmanager
def recorded_shapes(
    model: nn.Module, shapes: dict[str, torch.Size], kinds: dict[str, str] | None = None
) -> Iterator[None]:
    """Record the shape of each module's last output, in the order of the calls."""

    def record(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: object, output: object) -> None:
            if kinds is not None:
                kinds[name] = type(output).__name__
            if isinstance(output, Tensor):
                shapes.pop(name, None)
                shapes[name] = output.shape

        return hook

    handles = [
        module.register_forward_hook(record(name))
        for name, module in model.named_modules()
        if name and "parametrizations" not in name.split(".")  # these give weights
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
