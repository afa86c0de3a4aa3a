"""The layer that class activation maps are computed from: found, given, or set for a model."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn

from sib.models.axes import Reshape, find_axes
from sib.models.candidates import candidate_layers, describe_candidates
from sib.models.description import LayerDescription
from sib.models.known_layers import known_layer, tried_layer
from sib.models.stages import finer_stages, given_stages, map_shape
from sib.models.trace import recorded_shapes, trace

__all__ = [
    "CamLayer",
    "LayerDescription",
    "Reshape",
    "cam_layer",
    "candidate_layers",
    "choose_layer",
    "chosen_layer",
    "describe",
    "keep_tried_layer",
    "recorded_shapes",
]


CHOSEN = "_sib_layer"
"""Attribute of a model, so that its copies have it too."""


class CamLayer(NamedTuple):
    """A layer, and how its output becomes a feature map.

    Example:
        >>> import sib, torch
        >>> layer = sib.explain.cam_layer(sib.models.SmallResNet(3), torch.randn(1, 3, 32, 32))
        >>> layer.name, layer.reshape
        ('stages', None)
    """

    name: str
    module: nn.Module
    reshape: Reshape | None
    """Output → (B, C, h, w); None if the output is one already."""


def cam_layer(
    model: nn.Module,
    images: Tensor,
    layer: str | nn.Module | None = None,
    reshape: Reshape | None = None,
) -> CamLayer:
    """The layer for class activation maps.

    A network inside another one, as in ``nn.Sequential(Normalize(), resnet18())``, is recognised.
    If deeper feature maps follow the layer of a known architecture, the deepest is used. One image
    passes through the model to determine the shapes.

    Args:
        model: classifier (B, C, H, W) → (B, K).
        images: (B, C, H, W) that the model accepts; their size shows which axes are places.
        layer: a module of the model or its name; None for the one set by `choose_layer`, or else
            the architecture's own.
        reshape: output of ``layer`` → (B, C, h, w). Channels last and tokens are recognised
            without it.

    Returns:
        `CamLayer`.

    Raises:
        ValueError: ``layer`` is not a module of the model, is not used in its forward pass, does
            not give a feature map, or is required and missing.

    Example:
        >>> import sib, torch
        >>> sib.explain.cam_layer(sib.models.SmallResNet(3), torch.randn(1, 3, 32, 32)).name
        'stages'
    """
    if layer is None and reshape is not None:
        raise ValueError("reshape can only be given together with layer")
    layer = chosen_layer(model) if layer is None else layer
    if layer is None:
        name, rows_first = known_layer(model, images)
    else:
        name, rows_first = _named(model, images, layer), False
    found = trace(model, images)
    if name not in found.kinds:
        raise ValueError(
            f"layer {name} takes no part in the forward pass: the model does not call this module; "
            f"{describe_candidates(model, images)}"
        )
    if reshape is None:
        reshape = find_axes(model, images, name, found, rows_first).reshape
    return CamLayer(name, model.get_submodule(name), reshape)


def choose_layer(model: nn.Module, layer: str) -> None:
    """Set the layer that a model and its copies use for maps and terms, instead of the default.

    Args:
        model: the model that contains the layer.
        layer: name of a module of the model.

    Raises:
        ValueError: the model has no such module.
    """
    if layer not in dict(model.named_modules()) or not layer:
        raise ValueError(f"layer must be the name of a module of the model; got {layer!r}")
    setattr(model, CHOSEN, layer)


def keep_tried_layer(model: nn.Module, images: Tensor) -> None:
    """Set the layer of an architecture without a known one, before training changes the weights.

    Such a layer is found by trying, and other weights can give another one, or none. Nothing is set
    if there is none, if the architecture is known, or if a layer was set before.

    Args:
        model: classifier (B, C, H, W) → (B, K).
        images: (B, C, H, W) that it takes; for their size.
    """
    tried = tried_layer(model, images) if chosen_layer(model) is None else None
    if tried is not None:
        choose_layer(model, tried)


def chosen_layer(model: nn.Module) -> str | None:
    """The layer that `choose_layer` set for a model; None if it was not called."""
    layer = getattr(model, CHOSEN, None)
    return layer if isinstance(layer, str) else None


def describe(
    model: nn.Module,
    images: Tensor,
    layer: str | nn.Module | None = None,
    reshape: Reshape | None = None,
    stages: Sequence[str] | None = None,
) -> LayerDescription:
    """Describe the layers that serve as the last stage and the finer stages.

    Args:
        model: classifier (B, C, H, W) → (B, K).
        images: (B, C, H, W) that the model takes.
        layer: as in `cam_layer`.
        reshape: as in `cam_layer`.
        stages: names of the finer stages; None for those that `finer_stages` finds.

    Returns:
        `LayerDescription`; its text is one line.

    Raises:
        ValueError: as in `cam_layer`; or a stage is not a feature map of the model.

    Example:
        >>> import sib, torch
        >>> print(sib.explain.describe(sib.models.SmallResNet(3), torch.randn(1, 3, 32, 32)))
        stages (128 × 4 × 4); finer stages stages.1 (64 × 8 × 8), stages.0 (32 × 16 × 16)
    """
    place = cam_layer(model, images, layer, reshape)
    found = trace(model, images)
    if stages is None:
        names = finer_stages(model, images, place.name, reshape=place.reshape)
    else:
        names = given_stages(model, images, stages)
    shapes = {
        name: map_shape(found, name, find_axes(model, images, name, found).reshape)
        for name in names
    }
    return LayerDescription.of(place.name, tuple(found.shapes[place.name]), place.reshape, shapes)


def _named(model: nn.Module, images: Tensor, layer: str | nn.Module) -> str:
    for name, module in model.named_modules():
        if name and (name == layer or module is layer):
            return str(name)
    given = repr(layer) if isinstance(layer, str) else f"a {type(layer).__name__}"
    raise ValueError(
        f"layer must be a module of the model or its name; got {given}; "
        f"{describe_candidates(model, images)}"
    )
