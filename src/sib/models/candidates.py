"""Which layers of an unknown architecture can be explained."""

from torch import Tensor, nn

from sib.models.axes import Tokens, find_axes
from sib.models.chain import around, has_places
from sib.models.counting import gradients_at, may_count
from sib.models.trace import Trace, trace

TRIES = 12
"""Most layers whose axes are looked for, in images that are changed in places."""


def candidate_layers(model: nn.Module, images: Tensor) -> list[str]:
    """Names of the layers whose output is a feature map (B, C, h, w) with places, first to last.

    In a transformer these are the layers whose output is tokens (B, N, C). The patch embedding is
    left out, although it is a feature map too.

    Args:
        model: classifier (B, C, H, W) → (B, K).
        images: (B, C, H, W) that it takes.

    Example:
        >>> import sib, torch
        >>> model, images = sib.models.SmallResNet(3), torch.randn(1, 3, 32, 32)
        >>> "stages.2" in sib.explain.candidate_layers(model, images)
        True
    """
    found = trace(model, images)
    fitting = [name for name, shape in found.shapes.items() if has_places(shape, images)]
    maps = [name for name in fitting if len(found.shapes[name]) == 4]
    tokens = [name for name in fitting if len(found.shapes[name]) == 3]
    if not tokens or (maps and fitting.index(maps[-1]) > fitting.index(tokens[-1])):
        return maps
    embedding = {outer for name in maps for outer in around(name)}
    return [name for name in tokens if name not in embedding] or tokens


def describe_candidates(model: nn.Module, images: Tensor, most: int = 10) -> str:
    """The candidates that serve in words, last first, with the reshape of tokens.

    The logits have a gradient at the places of each, and the order of the first one's axes is
    known.
    """
    try:
        candidates = candidate_layers(model, images)[::-1]
    except Exception as error:  # whatever a model raises: what is missing is reported all the same
        size = " × ".join(map(str, images.shape[1:]))
        return f"the model takes no images of {size}, so none is proposed ({error})"
    if not candidates:
        return "no module of it gives a feature map"
    found = trace(model, images)
    serving = _from_a_known_order(model, images, _counting(model, images, candidates), found)
    if not serving:
        return (
            f"none is proposed: no layer among {len(candidates)} has places in an order that is "
            "known and a gradient of the logits there"
        )
    axes = find_axes(model, images, serving[0], found).reshape
    reshape = f"; for {serving[0]}, reshape={axes.code()}" if isinstance(axes, Tokens) else ""
    return f"candidates, last first: {', '.join(serving[:most])}{reshape}"


def _counting(model: nn.Module, images: Tensor, names: list[str]) -> list[str]:
    """The layers whose places may count; all of them if the model cannot be differentiated."""
    try:
        gradients = gradients_at(model, images, names)
    except Exception:  # whatever a model raises in its backward pass, which is reported elsewhere
        return names
    return [name for name in names if name in gradients and may_count(gradients[name])]


def _from_a_known_order(
    model: nn.Module, images: Tensor, names: list[str], found: Trace
) -> list[str]:
    """The layers from the first one on whose axes are in a known order."""
    for index, name in enumerate(names[:TRIES]):
        try:
            find_axes(model, images, name, found)
        except ValueError:
            continue
        return names[index:]
    return []
