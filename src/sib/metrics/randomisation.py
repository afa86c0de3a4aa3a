"""The sanity check: does an explanation change when the model's parameters are randomised?"""

import copy
from collections.abc import Sequence
from typing import NamedTuple, Unpack

import torch
from torch import Tensor, nn

from sib.explain import attribute
from sib.explain.arguments import resolve_targets
from sib.explain.call import AttributeOptions
from sib.explain.state import device_of, logits_of
from sib.functional import checks
from sib.functional.precision import to_float64
from sib.models.mode import evaluation_mode


class Randomisation(NamedTuple):
    """How the maps changed as the parameters were randomised.

    Example:
        >>> import sib, torch
        >>> model, images = sib.models.SmallResNet(3), torch.randn(2, 3, 32, 32)
        >>> found = sib.metrics.parameter_randomisation(
        ...     model, images, method="saliency", comparisons=2
        ... )
        >>> len(found.layers), found.correlation.shape
        (2, torch.Size([2, 2]))
    """

    layers: list[str]
    """(L,) the last module randomised before each comparison, from the head down."""
    correlation: Tensor
    """(L, B) rank correlation with the original model's map; NaN for a constant map."""


def parameter_randomisation(
    model: nn.Module,
    images: Tensor,
    targets: Tensor | Sequence[int] | int | None = None,
    method: str = "gradcam",
    *,
    comparisons: int = 8,
    seed: int = 0,
    **options: Unpack[AttributeOptions],
) -> Randomisation:
    """Rank correlation of the maps before and after randomising the model from the head down.

    ρ_l = Spearman(a(x; θ), a(x; θ_l)). In θ_l the parameters of the last l modules are redrawn from
    N(mean, variance) of each parameter tensor, so that the logits keep their scale. In [−1, 1],
    smaller is better at every depth: a method whose maps do not change does not depend on the
    model.
    The cascade goes backwards through the modules as they are registered, and works on a copy.
    Ranks are those of the signed map, ties share their mean rank.

    Args:
        model: classifier (B, C, H, W) → (B, K); left unchanged.
        images: (B, C, H, W).
        targets: (B,) classes, one class for all, or None for those that the whole model predicts.
        method: one of `sib.explain.METHODS`.
        comparisons: number of depths at which maps are compared, evenly spaced, the last at the
            bottom. It is reduced if the model has fewer modules with parameters.
        seed: seed of the drawn parameters.
        options: further options of `sib.explain.attribute`; ``layer`` as a name.

    Returns:
        `Randomisation`.

    Raises:
        ValueError: an argument is not allowed, or a model without parameters.

    Source: Adebayo et al. 2018, Sanity checks for saliency maps.

    Example:
        >>> import sib, torch
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 3))
        >>> images = torch.randn(2, 3, 4, 4)
        >>> sib.metrics.parameter_randomisation(model, images, method="saliency").layers
        ['1']
    """
    checks.whole_number("comparisons", comparisons)
    checks.whole_number("seed", seed, smallest=0)
    if isinstance(options.get("layer"), nn.Module):
        raise ValueError("layer must be a name here: the modules randomised are copies")
    checks.image_batch("images", images)
    twin = copy.deepcopy(model)
    images = images.to(device_of(model, images))
    with evaluation_mode(twin), torch.no_grad():
        chosen = resolve_targets(targets, logits_of(twin, images))
    before = attribute(twin, images, chosen, method, **options)
    cascade = [
        (name, module)
        for name, module in reversed(list(twin.named_modules()))
        if any(True for _ in module.parameters(recurse=False))
    ]
    if not cascade:
        raise ValueError(f"model must have parameters to randomise; got a {type(model).__name__}")
    depths = _spread(len(cascade), comparisons)
    generator = torch.Generator().manual_seed(seed)
    layers, correlations = [], []
    for depth, (name, module) in enumerate(cascade, start=1):
        _randomise(module, generator)
        if depth in depths:
            layers.append(name or "the model's own parameters")
            after = attribute(twin, images, chosen, method, **options)
            correlations.append(rank_correlation(before, after))
    return Randomisation(layers, torch.stack(correlations))


def full_randomisation(
    model: nn.Module,
    images: Tensor,
    targets: Tensor | Sequence[int] | int | None = None,
    method: str = "gradcam",
    *,
    seed: int = 0,
) -> Tensor:
    """Rank correlation of the maps before and after randomising every parameter of the model.

    The last comparison of `parameter_randomisation`. In [−1, 1], smaller is better.

    Args:
        model: classifier (B, C, H, W) → (B, K); left unchanged.
        images: (B, C, H, W).
        targets: (B,) classes, one class for all, or None for those that the whole model predicts.
        method: one of `sib.explain.METHODS`.
        seed: seed of the drawn parameters.

    Returns:
        (B,), NaN where a map is constant.

    Raises:
        ValueError: as in `parameter_randomisation`.

    Source: Adebayo et al. 2018, Sanity checks for saliency maps.

    Example:
        >>> import sib, torch
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 3))
        >>> images = torch.randn(2, 3, 4, 4)
        >>> sib.metrics.full_randomisation(model, images, method="saliency").shape
        torch.Size([2])
    """
    found = parameter_randomisation(model, images, targets, method, comparisons=1, seed=seed)
    return found.correlation[-1]


def rank_correlation(first: Tensor, second: Tensor) -> Tensor:
    """Spearman's rank correlation (B,) of maps (B, H, W); ties share their mean rank.

    ρ = Pearson(rank(first), rank(second)), in [−1, 1], NaN where a map is constant or not
    finite.

    Example:
        >>> import sib, torch
        >>> maps = torch.tensor([[[1.0, 2.0, 4.0]]])
        >>> sib.metrics.rank_correlation(maps, -maps.exp())
        tensor([-1.])
    """
    finite = first.flatten(1).isfinite().all(dim=1) & second.flatten(1).isfinite().all(dim=1)
    a, b = (_ranks(maps.flatten(1)) for maps in (first, second))
    a, b = a - a.mean(dim=1, keepdim=True), b - b.mean(dim=1, keepdim=True)
    scale = (a.square().sum(dim=1) * b.square().sum(dim=1)).sqrt()
    known = (scale > 0) & finite
    return torch.where(known, (a * b).sum(dim=1) / scale, torch.nan).float()


def _ranks(rows: Tensor) -> Tensor:
    """Mean ranks (B, N) in float64."""
    ascending = rows.sort(dim=1).values
    below = torch.searchsorted(ascending, rows.contiguous(), right=False)
    through = torch.searchsorted(ascending, rows.contiguous(), right=True)
    return to_float64(below + through - 1) / 2


def randomised_copy(model: nn.Module, seed: int = 0) -> nn.Module:
    """A copy of a model with all parameters redrawn, as in `parameter_randomisation`.

    Buffers, such as the running statistics of batch norm, are kept.

    Args:
        model: left unchanged.
        seed: seed of the drawn parameters.

    Returns:
        The copy.

    Example:
        >>> import sib, torch
        >>> model = torch.nn.Linear(3, 2)
        >>> bool((sib.metrics.randomised_copy(model).weight != model.weight).all())
        True
    """
    twin = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    for _, module in reversed(list(twin.named_modules())):
        _randomise(module, generator)
    return twin


def _spread(modules: int, comparisons: int) -> set[int]:
    count = min(modules, comparisons)
    return {round(modules * (index + 1) / count) for index in range(count)}


@torch.no_grad()
def _randomise(module: nn.Module, generator: torch.Generator) -> None:
    for parameter in module.parameters(recurse=False):
        noise = torch.randn(parameter.shape, generator=generator).to(parameter)
        deviation = parameter.std(correction=0)
        parameter.copy_(noise * deviation + parameter.mean())
