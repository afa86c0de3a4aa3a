"""A description of the layers that serve as a network's stages."""

from typing import Any, NamedTuple

import torch

from sib.models.axes import ChannelsLast, Reshape, Tokens


class LayerDescription(NamedTuple):
    """The layer that maps and terms use, and the finer stages before it."""

    layer: str
    """Name of the module."""
    shape: tuple[int, int, int]
    """(C, h, w) of its feature map."""
    axes: str
    """``"channels first"``, ``"channels last"``, ``"tokens"``, or ``"given"`` by the caller."""
    stages: dict[str, tuple[int, ...]]
    """(C, h, w) of the finer stages by name, the finest last."""

    @classmethod
    def of(
        cls,
        layer: str,
        output: tuple[int, ...],
        reshape: Reshape | None,
        stages: dict[str, tuple[int, ...]],
    ) -> "LayerDescription":
        """Describe a layer from the shape of its output and its reshape.

        Raises:
            ValueError: the reshape does not give a feature map.
        """
        shaped = torch.zeros(output, device="meta")
        shaped = shaped if reshape is None else reshape(shaped)
        if shaped.ndim != 4:
            raise ValueError(
                f"reshape must give a feature map (B, C, h, w); from {layer} it gives "
                f"{tuple(shaped.shape)}"
            )
        channels, height, width = shaped.shape[1:]
        return cls(layer, (channels, height, width), _axes(reshape), stages)

    @property
    def has_places(self) -> bool:
        """Whether the map has more than one place, so that places can be compared."""
        return self.shape[1] * self.shape[2] > 1

    def as_dict(self) -> dict[str, Any]:
        """The same for JSON."""
        return {
            "layer": self.layer,
            "shape": list(self.shape),
            "axes": self.axes,
            "stages": {name: list(shape) for name, shape in self.stages.items()},
        }

    def __str__(self) -> str:
        """One line, as ``layer4 (512 × 7 × 7); finer stages layer3 (256 × 14 × 14)``."""
        axes = "" if self.axes == "channels first" else f", {self.axes}"
        text = f"{self.layer} ({_size(self.shape)}{axes})"
        if self.stages:
            finer = ", ".join(f"{name} ({_size(shape)})" for name, shape in self.stages.items())
            text += f"; finer stages {finer}"
        return text


def _axes(reshape: Reshape | None) -> str:
    if reshape is None:
        return "channels first"
    if isinstance(reshape, ChannelsLast):
        return "channels last"
    return "tokens" if isinstance(reshape, Tokens) else "given"


def _size(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))
