"""ROAD: does the decision survive when pixels are removed in the order of a map and imputed?"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sib.explain.arguments import Targets, resolve_targets
from sib.explain.state import device_of, logits_of
from sib.functional import checks
from sib.functional.label_kinds import kind_of
from sib.functional.precision import to_float64
from sib.metrics.arguments import check_maps_of, scored
from sib.metrics.imputation import impute
from sib.metrics.perturbation import pixel_ranks
from sib.models.mode import evaluation_mode

PERCENTAGES = (10, 20, 30, 40, 50, 70, 90)
ORDERS = ("most", "least")


@torch.no_grad()
def road_curve(
    model: nn.Module,
    images: Tensor,
    attribution: Tensor,
    targets: Targets = None,
    *,
    order: str = "most",
    percentages: Sequence[float] = PERCENTAGES,
    noise: float = 0.01,
    seed: int = 0,
    batch_size: int = 64,
) -> Tensor:
    """Whether the target is still predicted as more and more pixels are removed.

    r_s = 1 if argmax_k z_k(x_s) = t else 0, with x_s the image x without the p_s per cent of its
    pixels that have the largest (or smallest) signed attribution. They are filled by noisy linear
    imputation, see `impute`. Unlike a constant or a blur, it leaves no edge or colour that reveals
    which pixels were removed. Ties are broken by one fixed random order. With several labels an
    image, r_s = 1 if z_t(x_s) > 0.

    Each percentage solves one sparse system per image, which takes about 0.1 to 0.3 s at
    224 × 224 pixels.

    Args:
        model: classifier (B, C, H, W) → (B, K); left unchanged.
        images: (B, C, H, W).
        attribution: (B, H, W).
        targets: (B,) classes, one class for all, or None for the predicted ones.
        order: ``"most"`` removes the most relevant pixels first, ``"least"`` the least relevant.
        percentages: p, S numbers above 0 and below 100.
        noise: standard deviation of the noise on imputed pixels, in the units of the images.
        seed: seed of the noise.
        batch_size: images in one forward pass.

    Returns:
        (B, S), 1 or 0.

    Raises:
        ValueError: an argument is not allowed.

    Source: Rong et al. 2022, A consistent and efficient evaluation strategy for attribution
        methods (arXiv 2202.00449).

    Example:
        >>> import sib, torch
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 3))
        >>> images, maps = torch.randn(2, 3, 4, 4), torch.rand(2, 4, 4)
        >>> sib.metrics.road_curve(model, images, maps, percentages=(25, 50)).shape
        torch.Size([2, 2])
    """
    check_maps_of(images, attribution)
    checks.choice("order", order, ORDERS)
    checks.whole_number("batch_size", batch_size)
    if not percentages or not all(0 < percentage < 100 for percentage in percentages):
        raise ValueError(f"percentages must lie between 0 and 100; got {tuple(percentages)}")
    images = images.detach().to(device_of(model, images))
    signed = attribution if order == "most" else -attribution
    ranks = pixel_ranks(signed.to(images.device)).unsqueeze(1)
    kept = []
    with evaluation_mode(model):
        logits = torch.cat([logits_of(model, part) for part in images.split(batch_size)])
        chosen = resolve_targets(targets, logits)
        for percentage in percentages:
            removed = ranks < int(ranks[0].numel() * percentage / 100)
            filled = impute(images, removed, noise=noise, seed=seed)
            logits = torch.cat([logits_of(model, part) for part in filled.split(batch_size)])
            kept.append(kind_of(model).decides(logits, chosen).float())
    return torch.stack(kept, dim=1)


def road_most_relevant(
    model: nn.Module,
    images: Tensor,
    attribution: Tensor,
    targets: Targets = None,
    *,
    percentages: Sequence[float] = PERCENTAGES,
    noise: float = 0.01,
    seed: int = 0,
    batch_size: int = 64,
) -> Tensor:
    """Share of the percentages at which the decision survives removal of the most relevant pixels.

    R = mean_s r_s of `road_curve` with ``order="most"``. In [0, 1], smaller is better. If
    ``targets`` are the labels, its mean over images is the accuracy of Rong et al., averaged over
    percentages.

    Args:
        model: classifier (B, C, H, W) → (B, K); left unchanged.
        images: (B, C, H, W).
        attribution: (B, H, W).
        targets: (B,) classes, one class for all, or None for the predicted ones.
        percentages: numbers above 0 and below 100.
        noise: standard deviation of the noise on imputed pixels.
        seed: seed of the noise.
        batch_size: images in one forward pass.

    Returns:
        (B,), NaN for a zero map.

    Raises:
        ValueError: an argument is not allowed.

    Source: Rong et al. 2022 (arXiv 2202.00449), MoRF.

    Example:
        >>> import sib, torch
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 3))
        >>> images = torch.randn(2, 3, 4, 4)
        >>> sib.metrics.road_most_relevant(model, images, torch.zeros(2, 4, 4)).isnan().tolist()
        [True, True]
    """
    curve = road_curve(
        model, images, attribution, targets, order="most", percentages=percentages, noise=noise,
        seed=seed, batch_size=batch_size,
    )  # fmt: skip
    return _mean(curve, attribution)


def road_least_relevant(
    model: nn.Module,
    images: Tensor,
    attribution: Tensor,
    targets: Targets = None,
    *,
    percentages: Sequence[float] = PERCENTAGES,
    noise: float = 0.01,
    seed: int = 0,
    batch_size: int = 64,
) -> Tensor:
    """Share of the percentages at which the decision survives removal of the least relevant pixels.

    R = mean_s r_s of `road_curve` with ``order="least"``. In [0, 1], larger is better: pixels that
    the map calls unimportant should not matter.

    Args:
        model: classifier (B, C, H, W) → (B, K); left unchanged.
        images: (B, C, H, W).
        attribution: (B, H, W).
        targets: (B,) classes, one class for all, or None for the predicted ones.
        percentages: numbers above 0 and below 100.
        noise: standard deviation of the noise on imputed pixels.
        seed: seed of the noise.
        batch_size: images in one forward pass.

    Returns:
        (B,), NaN for a zero map.

    Raises:
        ValueError: an argument is not allowed.

    Source: Rong et al. 2022 (arXiv 2202.00449), LeRF.

    Example:
        >>> import sib, torch
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 3))
        >>> images, maps = torch.randn(2, 3, 4, 4), torch.rand(2, 4, 4)
        >>> sib.metrics.road_least_relevant(model, images, maps).shape
        torch.Size([2])
    """
    curve = road_curve(
        model, images, attribution, targets, order="least", percentages=percentages, noise=noise,
        seed=seed, batch_size=batch_size,
    )  # fmt: skip
    return _mean(curve, attribution)


def _mean(curve: Tensor, attribution: Tensor) -> Tensor:
    magnitude = to_float64(attribution.abs().flatten(1)).to(curve.device)
    return scored(curve.mean(dim=1), magnitude)
