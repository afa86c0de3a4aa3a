"""The order of layers: which ones all data passes through, and which come after another."""

from torch import Tensor, nn

from sib.models.axes import keeps_proportions
from sib.models.trace import Trace

EMBEDDINGS = {"patch_embed", "patch_embedding", "patch_embeddings"}
"""Names that libraries give to the patch embedding."""


def stands_in_a_chain(
    model: nn.Module, name: str, last: str, containers: tuple[type, ...] = (nn.Sequential,)
) -> bool:
    """Whether every module that contains a layer is nn.Sequential, or contains the last stage too.

    Subclasses of nn.Sequential do not count. Those that repeat are checkpointed as a whole, and
    then nothing inside them can be differentiated.
    """
    shared = around(last)
    return all(
        outer in shared or type(model.get_submodule(outer)) in containers for outer in around(name)
    )


def embeds_patches(model: nn.Module, name: str, last: str, found: Trace) -> bool:
    """Whether a layer is, or is a part of, the patch embedding of a transformer.

    It is called like that or, if the last stage is tokens, there is no layer with weights before
    it. A layer without weights, such as a dropout, is a part of it if only such layers come before.
    """
    if not EMBEDDINGS.isdisjoint(name.split(".")):
        return True
    if not gives_tokens(found, last):
        return False
    names = list(found.shapes)
    before = names[: names.index(name)]
    if not any(True for _ in model.get_submodule(name).parameters()):
        before = [each for each in before if EMBEDDINGS.isdisjoint(each.split("."))]
    return not any(
        p.ndim > 1
        for each in before
        if not each.startswith(f"{name}.")
        for p in _own_parameters(model, each)
    )


def around(name: str) -> set[str]:
    """Names of the modules that contain a module."""
    parts = name.split(".")
    return {".".join(parts[:count]) for count in range(1, len(parts))}


def deeper_layers(model: nn.Module, images: Tensor, name: str, found: Trace) -> list[str]:
    """Layers with weights that come after a layer and still have places, first to last.

    A layer with as many features as the model has outputs belongs to the head, unless other weights
    follow it.

    Args:
        model: classifier.
        images: (B, C, H, W), for their size.
        name: of the layer.
        found: the model's trace.
    """
    names = list(found.shapes)
    if name not in found.shapes:
        return []
    after = names[names.index(name) + 1 :]
    own = around(name)
    return [
        each
        for each in after
        if each not in own
        and has_places(found.shapes[each], images)
        and not is_head(model, each, names, found, images)
        and any(p.ndim > 1 for p in model.get_submodule(each).parameters())
        and stands_in_a_chain(model, each, name, (nn.Sequential, nn.ModuleList))
    ]


def is_head(model: nn.Module, name: str, names: list[str], found: Trace, images: Tensor) -> bool:
    """Whether a layer gives the outputs at each place, as a last convolution does."""
    shape, size = found.shapes[name], (images.shape[2], images.shape[3])
    first = len(shape) == 4 and keeps_proportions((shape[2], shape[3]), size)
    if found.outputs != shape[1 if first else -1]:
        return False
    later = names[names.index(name) + 1 :]
    own = around(name)
    return not any(
        p.ndim > 1 for each in later if each not in own for p in _own_parameters(model, each)
    )


def _own_parameters(model: nn.Module, name: str) -> list[nn.Parameter]:
    return list(model.get_submodule(name).parameters(recurse=False))


def has_places(shape: tuple[int, ...], images: Tensor) -> bool:
    """Whether an output can be a feature map, in either order of its axes, or tokens."""
    if len(shape) == 3:
        return shape[1] > 1 and shape[2] > 1
    size = (images.shape[2], images.shape[3])
    grids = [(shape[2], shape[3]), (shape[1], shape[2])] if len(shape) == 4 else []
    return any(max(grid) > 1 and keeps_proportions(grid, size) for grid in grids)


def gives_tokens(found: Trace, name: str) -> bool:
    """Whether a layer's output is tokens (B, N, C)."""
    return name in found.shapes and len(found.shapes[name]) == 3
