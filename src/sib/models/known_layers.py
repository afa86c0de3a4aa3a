"""The layer of each known architecture; an architecture is added as a rule."""

from collections.abc import Iterator
from typing import NamedTuple

from torch import Tensor, nn

from sib.models.axes import ROWS_FIRST
from sib.models.bottleneck import last_bottleneck
from sib.models.candidates import describe_candidates
from sib.models.chain import deeper_layers, gives_tokens
from sib.models.trace import Trace, trace


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


def known_layer(model: nn.Module, images: Tensor) -> tuple[str, bool]:
    """The layer of an architecture, and whether its tokens are known to be row by row.

    Raises:
        ValueError: the architecture is unknown and no layer of it is found by trying, or the layer
            is the stem of a transformer.
    """
    known = _layer_by_rule(model, images)
    if known is not None:
        return known
    tried = _layer_by_trying(model, images)
    if tried is not None:
        return tried, False
    raise ValueError(
        f"layer must be given for a {type(model).__name__}, an architecture without a known layer; "
        f"{describe_candidates(model, images)}"
    )


def tried_layer(model: nn.Module, images: Tensor) -> str | None:
    """The layer of an architecture without a rule, which depends on the weights; else None."""
    try:
        known = _layer_by_rule(model, images)
    except ValueError:  # the stem of a transformer
        return None
    return _layer_by_trying(model, images) if known is None else None


def _layer_by_rule(model: nn.Module, images: Tensor) -> tuple[str, bool] | None:
    for prefix, network in _networks(model):
        for rule in RULES:
            path = _find(network, rule.layer)
            if path is None or (rule.also is not None and _find(network, rule.also) is None):
                continue
            if rule.layer == "features":
                path = _before_pooling(network, path)
            found = trace(model, images)
            name = _last_called(prefix + path, found)
            if name not in found.shapes:
                continue  # the model calls its parts, or it gives no tensor
            if rule.rows_first and gives_tokens(found, name):
                found.memory[ROWS_FIRST] = name
                return name, True
            return _deepest(model, images, name, found), False
    return None


def _layer_by_trying(model: nn.Module, images: Tensor) -> str | None:
    """The layer of an architecture without a rule; None if there is none beyond doubt."""
    try:
        return last_bottleneck(model, images, trace(model, images))
    except Exception:  # whatever a model raises: the list of candidates reports it
        return None


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
