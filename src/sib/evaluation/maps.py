"""Maps for the commands: `attribute_all` with their options and their kind of error."""

from collections.abc import Sequence

from rich.console import Console
from torch import Tensor, nn

from sib.config.evaluate import AttributionConfig
from sib.explain import attribute_all, cost_notes, unavailable_methods
from sib.utils.errors import InputError


def maps_of(
    model: nn.Module,
    images: Tensor,
    targets: Tensor | int | None,
    methods: Sequence[str],
    config: AttributionConfig,
) -> dict[str, Tensor]:
    """(B, H, W) maps by method, raw.

    Raises:
        InputError: a method that the model cannot have.
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
        raise InputError(f"--methods: {error}") from None


def print_costs(
    console: Console, methods: Sequence[str], size: tuple[int, int], config: AttributionConfig
) -> None:
    """Print how many forward passes an image of size (H, W) takes, where a method needs many."""
    for note in cost_notes(methods, size, n_masks=config.masks):
        console.print(note, highlight=False, markup=False, soft_wrap=True)


def print_left_out(console: Console, model: nn.Module, images: Tensor) -> None:
    """Print which default methods a model cannot have, and why."""
    names_by_reason: dict[str, list[str]] = {}
    for name, reason in unavailable_methods(model, images).items():
        names_by_reason.setdefault(reason, []).append(name)
    for reason, names in names_by_reason.items():
        line = f"without {', '.join(names)}: {reason}"
        console.print(line, highlight=False, markup=False, soft_wrap=True)
