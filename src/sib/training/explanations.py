"""What a network looks at during training: a few images with their maps, as a picture."""

from typing import Any

import torch
from torch import Tensor, nn

from sib.config.report import IN_GALLERY
from sib.config.train import TrainConfig
from sib.data.normalization import normalise
from sib.data.sample import Label, names_of
from sib.data.source import Source
from sib.data.transforms import JointTransform

IMAGES = 4


def draw_explanations(
    model: nn.Module, source: Source, config: TrainConfig, device: torch.device
) -> bytes:
    """Draw the maps of a few images, always the same ones, as a PNG.

    Draws no random number and leaves the model unchanged, so training is not affected.

    Args:
        model: the run's model.
        source: images to choose from.
        config: the run's options.
        device: where the model is.

    Raises:
        InputError: an image cannot be read, or a library is missing.
    """
    # with captum and torchcam, which training alone does not need
    from sib.explain import attribute_all, available_methods, method_title
    from sib.figures.overlay import draw_grid

    pixels, labels = _images(source, config)
    images = normalise(pixels, device, config.input.normalization)
    methods = available_methods(model, images, IN_GALLERY)
    maps: dict[str, Any] = attribute_all(model, images, None, methods, "percentile")
    return draw_grid(
        pixels,
        {method_title(name): values.detach().cpu() for name, values in maps.items()},
        [names_of(label, source.classes) for label in labels],
    )


def _images(source: Source, config: TrainConfig) -> tuple[Tensor, list[Label]]:
    """Images, uint8 (B, 3, H, W), one from each of B equal parts of the source; and labels."""
    count = min(IMAGES, len(source))
    transform = JointTransform(config.side, resize=config.input.resize)
    samples = [transform(source[index * len(source) // count]) for index in range(count)]
    pixels = [sample.image.as_subclass(Tensor) for sample in samples]
    return torch.stack(pixels), [sample.label for sample in samples]
