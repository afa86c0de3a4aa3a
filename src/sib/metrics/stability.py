"""Does a map stay the same as long as the decision does?"""

from typing import NamedTuple, Unpack

import torch
from torch import Tensor, nn

from sib.explain import attribute
from sib.explain.arguments import Targets, resolve_targets
from sib.explain.call import AttributeOptions
from sib.explain.state import device_of, logits_of
from sib.functional import checks
from sib.functional.label_kinds import kind_of
from sib.functional.precision import to_float64
from sib.models.mode import evaluation_mode

REDUCTIONS = ("max", "mean")


class Changes(NamedTuple):
    """How the maps of B images changed under S small changes of the images.

    Example:
        >>> import sib, torch
        >>> changes = sib.metrics.map_changes(
        ...     sib.models.SmallResNet(3), torch.randn(2, 3, 32, 32), method="saliency", samples=4
        ... )
        >>> changes.maps.shape, changes.size.shape
        (torch.Size([4, 2]), torch.Size([2]))
    """

    maps: Tensor
    """(S, B), norm of the map's change; NaN where the decision changed."""
    images: Tensor
    """(S, B), norm of the image's change."""
    size: Tensor
    """(B,), norm of the original map; NaN for a map that is zero or not finite."""


def map_sensitivity(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    method: str = "gradcam",
    *,
    radius: float = 0.02,
    samples: int = 8,
    reduction: str = "max",
    seed: int = 0,
    **options: Unpack[AttributeOptions],
) -> Tensor:
    """Relative change of the map under small changes that do not alter the decision.

    S = max_s ‖a(x + δ_s) − a(x)‖ / ‖a(x)‖ over those s with argmax z(x + δ_s) = argmax z(x). The
    change δ_s is uniform in [−ε, ε] for each value of the image, with ε = radius · (max x − min x),
    and the map a is divided by its largest magnitude. In [0, ∞), smaller is better.
    ``reduction="mean"`` takes the mean over s instead. With several labels an
    image, its whole set of labels must stay the same.

    Args:
        model: classifier (B, C, H, W) → (B, K); left unchanged.
        images: x, (B, C, H, W).
        targets: (B,) classes, one class for all, or None for the predicted ones.
        method: one of `sib.explain.METHODS`.
        radius: size of the changes as a share of each image's range, above 0.
        samples: number of changes, at least 1.
        reduction: ``"max"`` or ``"mean"``.
        seed: seed of the changes, which are equal for all images of a batch up to their size.
        options: further options of `sib.explain.attribute`; ``normalize`` is
            ``"max"`` by default.

    Returns:
        (B,), NaN for a zero map, or if every change altered the decision.

    Raises:
        ValueError: an argument is not allowed.

    Source: Yeh et al. 2019, On the (in)fidelity and sensitivity of explanations (arXiv
        1901.09392); divided by the map's norm as in Bhatt et al. 2020.

    Example:
        >>> import sib, torch
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 3))
        >>> images = torch.randn(2, 3, 4, 4)  # the gradient of a linear model is constant
        >>> sib.metrics.map_sensitivity(model, images, method="saliency").tolist()
        [0.0, 0.0]
    """
    checks.choice("reduction", reduction, REDUCTIONS)
    changes = map_changes(
        model, images, targets, method, radius=radius, samples=samples, seed=seed, **options
    )
    ratios = changes.maps / changes.size
    reduced = _nanmax(ratios) if reduction == "max" else ratios.nanmean(dim=0)
    return reduced.float()


def local_lipschitz(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    method: str = "gradcam",
    *,
    radius: float = 0.02,
    samples: int = 8,
    seed: int = 0,
    **options: Unpack[AttributeOptions],
) -> Tensor:
    """Largest change of the map per unit of the image's change, while the decision stays the same.

    L = max_s ‖a(x + δ_s) − a(x)‖ / ‖δ_s‖, a lower bound of the map's local Lipschitz constant,
    with the changes δ_s and the scaling of `map_sensitivity`. In [0, ∞), smaller is better. Its
    unit is that of a map divided by that of an image, so it only compares maps with the same image
    size and normalisation.

    Args:
        model: classifier (B, C, H, W) → (B, K); left unchanged.
        images: x, (B, C, H, W).
        targets: (B,) classes, one class for all, or None for the predicted ones.
        method: one of `sib.explain.METHODS`.
        radius: size of the changes as a share of each image's range, above 0.
        samples: number of changes, at least 1.
        seed: seed of the changes.
        options: further options of `sib.explain.attribute`; ``normalize`` is
            ``"max"`` by default.

    Returns:
        (B,), NaN for a zero map, or if every change altered the decision.

    Raises:
        ValueError: an argument is not allowed.

    Source: Alvarez-Melis & Jaakkola 2018, On the robustness of interpretability methods (arXiv
        1806.08049).

    Example:
        >>> import sib, torch
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 3))
        >>> images = torch.randn(2, 3, 4, 4)
        >>> sib.metrics.local_lipschitz(model, images, method="saliency").tolist()
        [0.0, 0.0]
    """
    changes = map_changes(
        model, images, targets, method, radius=radius, samples=samples, seed=seed, **options
    )
    known = changes.size.isfinite()
    return torch.where(known, _nanmax(changes.maps / changes.images), torch.nan).float()


def map_changes(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    method: str = "gradcam",
    *,
    radius: float = 0.02,
    samples: int = 8,
    seed: int = 0,
    **options: Unpack[AttributeOptions],
) -> Changes:
    """How far maps change under small changes of the images.

    Args:
        model: classifier (B, C, H, W) → (B, K); left unchanged.
        images: (B, C, H, W).
        targets: (B,) classes, one class for all, or None for the predicted ones.
        method: one of `sib.explain.METHODS`.
        radius: size of the changes as a share of each image's range, above 0.
        samples: number of changes, at least 1.
        seed: seed of the changes.
        options: further options of `sib.explain.attribute`; ``normalize`` is
            ``"max"`` by default.

    Returns:
        `Changes`.

    Raises:
        ValueError: an argument is not allowed.

    Example:
        >>> import sib, torch
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 3))
        >>> images = torch.randn(2, 3, 4, 4)
        >>> sib.metrics.map_changes(model, images, method="saliency", samples=5).maps.shape
        torch.Size([5, 2])
    """
    checks.image_batch("images", images)
    checks.positive("radius", radius)
    checks.whole_number("samples", samples)
    checks.whole_number("seed", seed, smallest=0)
    options = {"normalize": "max", **options}
    images = images.detach().to(device_of(model, images))
    with evaluation_mode(model), torch.no_grad():
        logits = logits_of(model, images)
    kind, chosen = kind_of(model), resolve_targets(targets, logits)
    decided = kind.decided(logits)
    before = to_float64(attribute(model, images, chosen, method, **options)).flatten(1)
    generator = torch.Generator().manual_seed(seed)
    moved, shifted = [], []
    for _ in range(samples):
        changed = images + small_change(images, radius, generator)
        after = to_float64(attribute(model, changed, chosen, method, **options)).flatten(1)
        with evaluation_mode(model), torch.no_grad():
            kept = (kind.decided(logits_of(model, changed)) == decided).all(dim=1)
        moved.append(torch.where(kept, (after - before).norm(dim=1), torch.nan))
        shifted.append(to_float64(changed - images).flatten(1).norm(dim=1))
    size = before.norm(dim=1)
    size = torch.where((size > 0) & size.isfinite(), size, torch.nan)
    return Changes(torch.stack(moved), torch.stack(shifted), size)


def small_change(images: Tensor, radius: float, generator: torch.Generator) -> Tensor:
    """Uniform in ±radius times each image's range, (B, C, H, W)."""
    drawn = 2 * torch.rand(images.shape[1:], generator=generator) - 1
    low, high = images.flatten(1).aminmax(dim=1)
    return radius * (high - low)[:, None, None, None] * drawn.to(images)


def _nanmax(values: Tensor) -> Tensor:
    """The largest value along the first dimension, NaN where all are NaN."""
    found = values.nan_to_num(nan=-torch.inf, posinf=torch.inf).amax(dim=0)
    return torch.where(found == -torch.inf, torch.nan, found)
