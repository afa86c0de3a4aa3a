"""Maps for the commands: `attribute_all` with their options and error messages."""

from collections.abc import Sequence

import torch
from rich.console import Console
from torch import Tensor, nn

from sib.config.evaluate import AttributionConfig
from sib.evaluation.checkpoint import Checkpoint
from sib.explain import attribute_all, cost_notes, default_methods, unavailable_methods
from sib.explain.registry import get_method
from sib.explain.state import device_of
from sib.models.layers import LayerDescription, describe
from sib.utils.errors import InputError
from sib.utils.image_size import height_width

DEFAULTS = AttributionConfig()


def maps_of(
    model: nn.Module,
    images: Tensor,
    targets: Tensor | int | None,
    methods: Sequence[str],
    config: AttributionConfig = DEFAULTS,
) -> dict[str, Tensor]:
    """Raw maps (B, H, W) by method.

    Raises:
        InputError: the model does not support a method.
    """
    try:
        return attribute_all(
            model,
            images,
            targets,
            methods,
            n_steps=config.steps,
            n_samples=config.samples,
            n_masks=config.masks,
            chunk_size=config.chunk,
        )
    except ValueError as error:
        sentence = str(error).replace("give layer= ", "give --layer ")
        raise InputError(f"--methods: {sentence}") from None


def layer_of(checkpoint: Checkpoint) -> LayerDescription | None:
    """A classifier's layer for class activation maps; None if it has no known one."""
    model = checkpoint.model
    images = torch.zeros(1, 3, *height_width(checkpoint.image_size))
    try:
        return describe(model, images.to(device_of(model, images)), stages=())
    except ValueError:
        return None


def print_layer(
    console: Console, found: LayerDescription | None, methods: Sequence[str] | None
) -> None:
    """Print the layer if a method uses it; a missing one is reported later."""
    used = any(get_method(name).needs_layer for name in methods or default_methods())
    if found is not None and used:
        console.print(f"layer: {found}", highlight=False, markup=False, soft_wrap=True)


def print_costs(
    console: Console, methods: Sequence[str], size: tuple[int, int], config: AttributionConfig
) -> None:
    """Print how many forward passes an image of size (H, W) takes, if a method needs many."""
    for note in cost_notes(methods, size, n_masks=config.masks):
        console.print(note, highlight=False, markup=False, soft_wrap=True)


def print_left_out(console: Console, model: nn.Module, images: Tensor) -> None:
    """Print which default methods a model does not support, and why."""
    names_by_reason: dict[str, list[str]] = {}
    for name, reason in unavailable_methods(model, images).items():
        names_by_reason.setdefault(reason, []).append(name)
    for reason, names in names_by_reason.items():
        reason = reason.replace("give layer= ", "give --layer ")
        if reason.startswith(f"method {names[0]} "):
            reason = f"it {reason.removeprefix(f'method {names[0]} ')}"
        line = f"without {', '.join(names)}: {reason}"
        console.print(line, highlight=False, markup=False, soft_wrap=True)
