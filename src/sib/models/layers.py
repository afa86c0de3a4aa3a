"""The layer whose activations a class activation map weighs, by architecture."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sib.models.mode import evaluation_mode

Reshape = Callable[[Tensor], Tensor]


class CamLayer(NamedTuple):
    """A layer, and how its output becomes a feature map."""

    name: str
    module: nn.Module
    reshape: Reshape | None
    """Output → (B, C, h, w); None where the output is one already."""


class _Rule(NamedTuple):
    """Which layer a family of architectures has."""

    layer: str
    """Path of the layer; −1 is the last child."""
    layout: str = "map"
    """``"map"`` (B, C, h, w), ``"channels last"`` (B, h, w, C) or ``"tokens"`` (B, N, C)."""
    also: str | None = None
    """A path that must exist too."""


# The first rule whose paths exist decides. The layer is the last one that still has places: a
# transformer that reads its class token gives the other tokens no gradient after its last
# attention, so there it is the normalisation before that attention.
RULES = (
    _Rule("encoder.layers.-1.ln_1", "tokens", also="conv_proj"),  # torchvision ViT
    _Rule("blocks.-1.norm1", "tokens", also="patch_embed"),  # timm ViT, DeiT, BEiT, EVA
    _Rule("permute", also="features"),  # torchvision Swin
    _Rule("norm", "channels last", also="layers.-1.blocks.-1.attn"),  # timm Swin
    _Rule("layer4"),  # ResNet, ResNeXt, Wide ResNet
    _Rule("trunk_output"),  # torchvision RegNet
    _Rule("final_conv", also="s4"),  # timm RegNet
    _Rule("stages", also="stem"),  # small_resnet, timm ConvNeXt
    _Rule("bn2", also="conv_head"),  # timm EfficientNet
    _Rule("blocks", also="conv_head"),  # timm MobileNetV3
    _Rule("blocks.-1", also="stem"),  # torchvision MaxViT
    _Rule("inception5b"),  # GoogLeNet
    _Rule("Mixed_7c"),  # Inception v3
    _Rule("conv5", also="stage4"),  # ShuffleNet v2
    _Rule("layers", also="classifier"),  # MNASNet
    _Rule("features"),  # DenseNet, VGG, AlexNet, MobileNet, EfficientNet, ConvNeXt, SqueezeNet
)


def cam_layer(
    model: nn.Module,
    images: Tensor,
    layer: str | nn.Module | None = None,
    reshape: Reshape | None = None,
) -> CamLayer:
    """The layer for class activation maps.

    Args:
        model: classifier (B, C, H, W) → (B, K).
        images: (B, C, H, W) that the model takes; their size tells the grid of tokens.
        layer: a module of the model or its name, in place of the architecture's own.
        reshape: output of ``layer`` → (B, C, h, w), where it is no feature map.

    Returns:
        `CamLayer`.

    Raises:
        ValueError: ``layer`` is not a module of the model, or it is needed and missing.
    """
    if layer is not None:
        name, module = _named(model, images, layer)
        return CamLayer(name, module, reshape)
    if reshape is not None:
        raise ValueError("reshape can only be given together with layer")
    for rule in RULES:
        found = _find(model, rule.layer)
        if found is None or (rule.also is not None and _find(model, rule.also) is None):
            continue
        if rule.layer == "features":
            found = _before_pooling(*found)
        return CamLayer(*found, _reshape(rule.layout, model, images))
    raise ValueError(
        f"layer must be given for a {type(model).__name__}, an architecture without a known layer; "
        f"{_candidates_told(model, images)}"
    )


def candidate_layers(model: nn.Module, images: Tensor) -> list[str]:
    """Names of the layers that give a feature map (B, C, h, w) with places, first to last.

    Where there is none, the layers that give tokens (B, N, C), which need a ``reshape``.
    """
    shapes: dict[str, torch.Size] = {}
    with evaluation_mode(model), torch.no_grad(), recorded_shapes(model, shapes):
        model(images[:1])
    maps = [name for name, shape in shapes.items() if len(shape) == 4 and min(shape[2:]) > 1]
    return maps or [name for name, shape in shapes.items() if len(shape) == 3 and shape[1] > 1]


@contextmanager
def recorded_shapes(model: nn.Module, shapes: dict[str, torch.Size]) -> Iterator[None]:
    """Write down the shape of each module's last output, in the order in which they came."""

    def record(name: str) -> Callable:
        def hook(module: nn.Module, inputs: object, output: object) -> None:
            if isinstance(output, Tensor):
                shapes.pop(name, None)
                shapes[name] = output.shape

        return hook

    handles = [m.register_forward_hook(record(name)) for name, m in model.named_modules() if name]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _named(model: nn.Module, images: Tensor, layer: str | nn.Module) -> tuple[str, nn.Module]:
    for name, module in model.named_modules():
        if name and (name == layer or module is layer):
            return name, module
    given = repr(layer) if isinstance(layer, str) else f"a {type(layer).__name__}"
    raise ValueError(
        f"layer must be a module of the model or its name; got {given}; "
        f"{_candidates_told(model, images)}"
    )


def _candidates_told(model: nn.Module, images: Tensor, most: int = 10) -> str:
    try:
        candidates = candidate_layers(model, images)
    except RuntimeError as error:  # what is missing is told all the same
        size = " × ".join(map(str, images.shape[1:]))
        return f"the model takes no images of {size}, so none is proposed ({error})"
    if not candidates:
        return "no module of it gives a feature map"
    return f"candidates, last first: {', '.join(candidates[::-1][:most])}"


def _find(model: nn.Module, path: str) -> tuple[str, nn.Module] | None:
    """The full name and the module at a path, or None."""
    module, names = model, []
    for part in path.split("."):
        children = dict(module.named_children())
        if part == "-1" and children:
            part = list(children)[-1]
        if part not in children:
            return None
        module = children[part]
        names.append(part)
    return ".".join(names), module


def _before_pooling(name: str, module: nn.Module) -> tuple[str, nn.Module]:
    """The last child before a pooling that ends the features, as in VGG; else the features."""
    children = list(module.named_children())
    if not children or not isinstance(children[-1][1], nn.MaxPool2d):
        return name, module
    return f"{name}.{children[-2][0]}", children[-2][1]


def _reshape(layout: str, model: nn.Module, images: Tensor) -> Reshape | None:
    if layout == "map":
        return None
    if layout == "channels last":
        return lambda output: output.permute(0, 3, 1, 2)
    height, width = _token_grid(model, images)

    def tokens_to_map(tokens: Tensor) -> Tensor:
        """(B, N, C) → (B, C, h, w) without the class and register tokens, which stand first."""
        patches = tokens[:, tokens.shape[1] - height * width :]
        return patches.transpose(1, 2).unflatten(2, (height, width))

    return tokens_to_map


def _token_grid(model: nn.Module, images: Tensor) -> tuple[int, int]:
    embedding = getattr(model, "patch_embed", model)
    patch = embedding.patch_size
    down, across = patch if isinstance(patch, tuple) else (patch, patch)
    return images.shape[-2] // down, images.shape[-1] // across
