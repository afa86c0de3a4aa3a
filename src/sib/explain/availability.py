"""Which methods can explain a model."""

from collections.abc import Sequence

from torch import Tensor, nn

from sib.explain import guided
from sib.explain.method import Method
from sib.explain.registry import default_methods, get_method
from sib.explain.state import device_of
from sib.models.candidates import describe_candidates
from sib.models.layers import CamLayer, Reshape, cam_layer, describe


def available_methods(
    model: nn.Module, images: Tensor, methods: Sequence[str] | None = None
) -> list[str]:
    """The methods that work for a model without further arguments.

    Guided backpropagation needs nn.ReLU modules. Class activation maps need a known layer whose map
    has more than one place.

    Args:
        model: classifier (B, C, H, W) → (B, K).
        images: (B, C, H, W) that it takes.
        methods: names to choose from; None for `default_methods`.

    Example:
        >>> import sib, torch
        >>> model, images = sib.models.SmallResNet(3), torch.randn(1, 3, 32, 32)
        >>> "gradcam" in sib.explain.available_methods(model, images)
        True
    """
    reasons = unavailable_methods(model, images, methods)
    return [each.name for each in chosen_methods(methods) if each.name not in reasons]


def unavailable_methods(
    model: nn.Module, images: Tensor, methods: Sequence[str] | None = None
) -> dict[str, str]:
    """The methods that do not work for a model without further arguments, and why.

    Arguments as in `available_methods`.

    Returns:
        Reasons by method, each one sentence.

    Example:
        >>> import sib, torch
        >>> model, images = sib.models.SmallResNet(3), torch.randn(1, 3, 32, 32)
        >>> sib.explain.unavailable_methods(model, images)
        {}
    """
    chosen = chosen_methods(methods)
    reasons: dict[str, str] = {}
    try:
        guided.check_has_relu(model)
    except ValueError as error:
        reasons |= {method.name: str(error) for method in chosen if method.needs_relu}
    if any(method.needs_layer for method in chosen):
        try:
            layer_with_places(model, images.to(device_of(model, images)), None, None)
        except ValueError as error:
            reasons |= {method.name: str(error) for method in chosen if method.needs_layer}
    return reasons


def chosen_methods(names: Sequence[str] | None) -> list[Method]:
    """The methods with the given names; the default ones for None.

    Raises:
        ValueError: it is not a list, or a name is unknown.
    """
    names = default_methods() if names is None else names
    if isinstance(names, str) or not names:
        raise ValueError(f"methods must be a list of names; got {names!r}")
    return [get_method(name, "methods") for name in names]


def layer_with_places(
    model: nn.Module, images: Tensor, layer: str | nn.Module | None, reshape: Reshape | None
) -> CamLayer:
    """The layer for class activation maps.

    Raises:
        ValueError: it is unknown, or its map has one place.
    """
    place = cam_layer(model, images, layer, reshape)
    found = describe(model, images, layer, reshape)
    if found.has_places:
        return place
    finer = ", ".join(
        f"{name} ({' × '.join(map(str, shape))})" for name, shape in found.stages.items()
    )
    raise ValueError(
        f"layer {found.layer} gives one place for images of {images.shape[2]} × "
        f"{images.shape[3]}, so a class activation map is the same everywhere: give layer= a finer "
        f"one, {finer or describe_candidates(model, images)}"
    )
