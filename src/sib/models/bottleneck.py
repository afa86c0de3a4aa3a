"""The last layer of an unknown architecture that everything passes through, found by trying."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from sib.models.axes import find_axes
from sib.models.candidates import candidate_layers
from sib.models.chain import is_head
from sib.models.counting import gradients_at, places_count
from sib.models.mode import evaluation_mode
from sib.models.outputs import logits_in
from sib.models.trace import Trace

TRIES = 24
"""Most layers that are tried, last first."""
SAME = 1e-3
"""Share of the difference between two images' logits below which they count as equal."""
MOST_AFTER = 0.3
"""Largest share of the weights that layers with places may have after it."""


def last_bottleneck(model: nn.Module, images: Tensor, found: Trace) -> str | None:
    """The last layer with places that everything passes through, and whose places all count.

    Everything passes through a layer if the logits are those of another image once its output is.
    A branch, or a layer inside a residual block, fails. Places count if the logits have a gradient
    there. The tokens of places fail after the last attention of a class token, where only that
    token is read. A stem, with most of the weights after it, fails too. So does a layer without
    trained weights in it or before it, as a normalisation of the image, and one that sees only a
    part of the image in its last call, which is the one that maps use.

    A pooling of torch and a head that gives the logits at each place are left out. A layer that
    ends in a pooling gives way to the last one inside it, before the pooling, if there is one.

    Args:
        model: classifier (B, C, H, W) → (B, K).
        images: (B, C, H, W) that it takes; for their size alone.
        found: `sib.models.trace.trace` of model and images.

    Returns:
        Its name; None if there is no such layer.
    """
    if last_bottleneck not in found.memory:
        found.memory[last_bottleneck] = _search(model, images, found)
    name: str | None = found.memory[last_bottleneck]
    return name


def _search(model: nn.Module, images: Tensor, found: Trace) -> str | None:
    generator = torch.Generator().manual_seed(0)
    two = torch.randn((2, *images.shape[1:]), generator=generator).to(images)
    pooled = None
    for name in candidate_layers(model, images)[: -TRIES - 1 : -1]:
        outside = pooled is not None and not name.startswith(f"{pooled}.")
        if outside or _share_after(model, name, found) > MOST_AFTER:
            return pooled
        if not _can_serve(model, images, name, found):
            continue
        if _passes_everything(model, two, name) and _places_count(model, images, name, found):
            if not _ends_in_pooling(model, name, found):
                return name
            pooled = name
    return pooled


def _can_serve(model: nn.Module, images: Tensor, name: str, found: Trace) -> bool:
    """Whether a layer is not a mere pooling, the head, or before all trained weights.

    A batch of another size fails too, as parts of the image have that are passed as a batch.
    """
    weightless = next(model.get_submodule(name).parameters(), None) is None
    if found.shapes[name][0] != 1 or (weightless and _ends_in_pooling(model, name, found)):
        return False
    return _has_weights_so_far(model, name, found) and not is_head(
        model, name, list(found.shapes), found, images
    )


def _is_pooling(module: nn.Module) -> bool:
    return type(module).__module__ == nn.modules.pooling.__name__


def _ends_in_pooling(model: nn.Module, name: str, found: Trace) -> bool:
    """Whether a pooling gives a layer's output, up to parts without weights, as an activation."""
    names, shape = list(found.shapes), found.shapes[name]
    for each in names[names.index(name) :: -1]:
        module = model.get_submodule(each)
        if any(True for _ in module.children()):
            continue
        if _is_pooling(module):
            return found.shapes[each] == shape
        if found.shapes[each] != shape or next(module.parameters(), None) is not None:
            return False
    return False


def _has_weights_so_far(model: nn.Module, name: str, found: Trace) -> bool:
    """Whether a layer, or one called before it, mixes channels or places by trained weights."""
    names = list(found.kinds)
    return any(
        sum(size > 1 for size in p.shape) > 1  # (1, C, 1, 1) only scales the channels
        for each in names[: names.index(name) + 1]
        if len(found.shapes.get(each, (0, 0, 0))) > 2
        for p in model.get_submodule(each).parameters()
    )


def _share_after(model: nn.Module, name: str, found: Trace) -> float:
    """Share of the weights that are used after a layer, without those of vectors, as in a head."""
    names = list(found.kinds)
    vectors = {each for each, shape in found.shapes.items() if len(shape) < 3}
    sizes = {each: _size(model.get_submodule(each)) for each in names if each not in vectors}
    own = _size(model)  # used anywhere
    before = set(names[: names.index(name) + 1])
    after = own + sum(size for each, size in sizes.items() if each not in before)
    return after / max(1, own + sum(sizes.values()))


def _size(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters(recurse=False))


def _passes_everything(model: nn.Module, two: Tensor, name: str) -> bool:
    """Whether the second image's logits become the first one's with the first one's output.

    Of a module that is called several times, only the last output is replaced.
    """
    calls = 0

    def count(module: nn.Module, inputs: object, output: Tensor) -> None:
        nonlocal calls
        calls += 1

    def replace(module: nn.Module, inputs: object, output: Tensor) -> Tensor:
        nonlocal calls
        calls -= 1
        return output if calls else output[:1].repeat(2, *[1] * (output.ndim - 1))

    layer = model.get_submodule(name)
    with evaluation_mode(model), torch.no_grad():
        own = _logits_with(model, two, layer, count)
        try:
            replaced = _logits_with(model, two, layer, replace)
        except RuntimeError:  # its output has another batch axis, as windows of attention have
            return False
    apart, left = (float((z[1] - z[0]).abs().max()) for z in (own, replaced))
    return apart > SAME * float(own.abs().max()) and left < SAME * apart


def _logits_with(
    model: nn.Module, images: Tensor, layer: nn.Module, hook: Callable[..., Tensor | None]
) -> Tensor:
    handle = layer.register_forward_hook(hook)
    try:
        logits: Tensor = logits_in(model(images))
        return logits
    finally:
        handle.remove()


def _places_count(model: nn.Module, images: Tensor, name: str, found: Trace) -> bool:
    """Whether the logits have a gradient at most places of a layer's map."""
    try:
        reshape = find_axes(model, images, name, found).reshape
    except ValueError:
        return False
    gradient = gradients_at(model, images, [name]).get(name)
    return gradient is not None and places_count(gradient, reshape)
