"""Which layers of an unknown architecture can be explained."""

from torch import Tensor, nn

from sib.models.axes import Tokens, find_axes
from sib.models.chain import around, has_places
from sib.models.trace import Trace, trace


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
    """The candidates in words, last first, with the reshape of tokens."""
    try:
        candidates = candidate_layers(model, images)
    except Exception as error:  # whatever a model raises: what is missing is reported all the same
        size = " × ".join(map(str, images.shape[1:]))
        return f"the model takes no images of {size}, so none is proposed ({error})"
    if not candidates:
        return "no module of it gives a feature map"
    text = f"candidates, last first: {', '.join(candidates[::-1][:most])}"
    return text + _reshape_of_tokens(model, images, candidates, trace(model, images))


def _reshape_of_tokens(
    model: nn.Module, images: Tensor, candidates: list[str], found: Trace
) -> str:
    """The reshape of the last candidate whose tokens are in a recognised order."""
    for name in candidates[::-1]:
        if len(found.shapes[name]) != 3:
            return ""
        try:
            reshape = find_axes(model, images, name, found).reshape
        except ValueError:  # a layer whose tokens are in no known order is not proposed with one
            continue
        if isinstance(reshape, Tokens):
            return f"; for {name}, reshape={reshape.code()}"
    return ""
