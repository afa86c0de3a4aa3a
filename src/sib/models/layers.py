"""The layer that class activation maps are computed from, by architecture."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from torch import Tensor, nn

from sib.models.axes import Reshape, find_axes
from sib.models.candidates import candidate_layers, describe_candidates
from sib.models.chain import deeper_layers, gives_tokens
from sib.models.description import LayerDescription
from sib.models.stages import finer_stages, given_stages, map_shape
from sib.models.trace import Trace, recorded_shapes, trace

__all__ = [
    "CamLayer",
    "LayerDescription",
    "Reshape",
    "cam_layer",
    "candidate_layers",
    "choose_layer",
    "chosen_layer",
    "describe",
    "recorded_shapes",
]


CHOSEN = "_sib_layer"
"""Attribute of a model, so that its copies have it too."""


class CamLayer(NamedTuple):
    """A layer, and how its output becomes a feature map."""

    name: str
    module: nn.Module
    reshape: Reshape | None
    """Output → (B, C, h, w); None if the output is one already."""


class _Rule(NamedTuple):
    """Which layer a family of architectures has."""

    layer: str
    """Path of the layer; −1 is the last child."""
    also: str | None = None
    """A second path that must exist."""
    rows_first: bool = False
    """Whether its tokens are known to be row by row, after class tokens."""


# The first rule whose paths exist is used. The layer is the last one that still has places. In a
# transformer that reads its class token, the other tokens have no gradient after the last
# attention, so it is the normalisation before that attention.
RULES = (
    _Rule("encoder.layers.-1.ln_1", "conv_proj", rows_first=True),  # torchvision ViT
    _Rule("blocks.-1", "unroll"),  # timm Hiera
    _Rule("blocks.-1.norm1", "patch_embed", rows_first=True),  # timm ViT, DeiT, BEiT, EVA
    _Rule("encoder.layer.-1.layernorm_before", "embeddings", rows_first=True),  # transformers ViT
    _Rule("encoder.layer.-1.norm1", "embeddings", rows_first=True),  # transformers DINOv2
    _Rule("layers.-1.layernorm_before", "embeddings", rows_first=True),  # the same, from release 5
    _Rule("layers.-1.norm1", "embeddings", rows_first=True),
    _Rule("layernorm", "encoder.layers.-1.blocks.-1.layernorm_before"),  # transformers Swin
    _Rule("encoder.stages.-1", "embedder"),  # transformers ResNet, RegNet
    _Rule("encoder.stages.-1", "embeddings"),  # transformers ConvNeXt
    _Rule("permute", "features"),  # torchvision Swin
    _Rule("norm", "layers.-1.blocks.-1.attn"),  # timm Swin
    _Rule("norm", "layers.-1.blocks.-1.modulation"),  # timm FocalNet
    _Rule("layer4"),  # ResNet, ResNeXt, Wide ResNet
    _Rule("trunk_output"),  # torchvision RegNet
    _Rule("final_conv", "s4"),  # timm RegNet
    _Rule("stages", "stages.-1.blocks.-1.attn.qkv.linear", rows_first=True),  # timm LeViT
    _Rule("stages", "stem"),  # small_resnet, timm ConvNeXt
    _Rule("stages", "patch_embed"),  # timm PVT v2, TinyViT
    _Rule("level5"),  # timm DLA
    _Rule("final_layer", "incre_modules"),  # timm HRNet
    _Rule("bn2", "conv_head"),  # timm EfficientNet
    _Rule("blocks", "conv_head"),  # timm MobileNetV3
    _Rule("blocks.-1", "stem"),  # torchvision MaxViT
    _Rule("inception5b"),  # GoogLeNet
    _Rule("Mixed_7c"),  # Inception v3
    _Rule("conv5", "stage4"),  # ShuffleNet v2
    _Rule("layers", "classifier"),  # MNASNet
    _Rule("features"),  # DenseNet, VGG, AlexNet, MobileNet, EfficientNet, ConvNeXt, SqueezeNet
)


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
        name, rows_first = _known_layer(model, images)
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


def _known_layer(model: nn.Module, images: Tensor) -> tuple[str, bool]:
    """The layer of a known architecture, and whether its tokens are known to be row by row."""
    for prefix, network in _networks(model):
        for rule in RULES:
            path = _find(network, rule.layer)
            if path is None or (rule.also is not None and _find(network, rule.also) is None):
                continue
            if rule.layer == "features":
                path = _before_pooling(network, path)
            found = trace(model, images)
            name = _last_called(prefix + path, found)
            if rule.rows_first and gives_tokens(found, name):
                return name, True
            return _deepest(model, images, name, found), False
    raise ValueError(
        f"layer must be given for a {type(model).__name__}, an architecture without a known layer; "
        f"{describe_candidates(model, images)}"
    )


def _networks(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The model, then repeatedly the child with most of the parameters, each with its prefix."""
    prefix = ""
    while True:
        yield prefix, model
        sizes = {
            name: sum(p.numel() for p in child.parameters())
            for name, child in model.named_children()
        }
        if not sizes or max(sizes.values()) == 0:
            return
        largest = max(sizes, key=lambda name: sizes[name])
        if sizes[largest] <= sum(sizes.values()) / 2:
            return
        prefix, model = f"{prefix}{largest}.", model.get_submodule(largest)


def _last_called(name: str, found: Trace) -> str:
    """A layer, or its last part that is called where the model calls its parts one by one."""
    if name in found.kinds:
        return name
    depth = name.count(".") + 1
    inside = [
        each
        for each in found.shapes
        if each.startswith(f"{name}.") and each.count(".") == depth and len(found.shapes[each]) > 2
    ]
    return inside[-1] if inside else name


def _deepest(model: nn.Module, images: Tensor, name: str, found: Trace) -> str:
    """The deepest feature map after a layer, or the layer itself.

    Raises:
        ValueError: tokens follow, so the layer is the stem of a transformer.
    """
    later = deeper_layers(model, images, name, found)
    if not later:
        return name
    if len(found.shapes[later[-1]]) == 3 and len(found.shapes[name]) == 4:
        raise ValueError(
            f"layer must be given for this {type(model).__name__}: {name} is its stem, since the "
            f"tokens of {later[-1]} follow; {describe_candidates(model, images)}"
        )
    return later[-1]


def _named(model: nn.Module, images: Tensor, layer: str | nn.Module) -> str:
    for name, module in model.named_modules():
        if name and (name == layer or module is layer):
            return str(name)
    given = repr(layer) if isinstance(layer, str) else f"a {type(layer).__name__}"
    raise ValueError(
        f"layer must be a module of the model or its name; got {given}; "
        f"{describe_candidates(model, images)}"
    )


def _find(model: nn.Module, path: str) -> str | None:
    """The full name of the module at a path, or None."""
    module, names = model, []
    for part in path.split("."):
        children = dict(module.named_children())
        if part == "-1" and children:
            part = list(children)[-1]
        if part not in children:
            return None
        module = children[part]
        names.append(part)
    return ".".join(names)


def _before_pooling(network: nn.Module, name: str) -> str:
    """The last child before a final pooling, as in VGG; otherwise the features themselves."""
    children = list(network.get_submodule(name).named_children())
    if not children or not isinstance(children[-1][1], nn.MaxPool2d):
        return name
    return f"{name}.{children[-2][0]}"
