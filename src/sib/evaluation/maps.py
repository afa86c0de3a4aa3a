"""Maps for the commands: `attribute_all` with their options and their kind of error."""

from collections.abc import Sequence

from torch import Tensor, nn

from sib.config.evaluate import AttributionConfig
from sib.explain import attribute_all
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
            chunk_size=config.chunk,
        )
    except ValueError as error:
        raise InputError(f"--methods: {error}") from None
