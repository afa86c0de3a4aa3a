"""Insertion and deletion: does the model's confidence follow the attribution?"""

import torch
from torch import Tensor, nn

from sib.explain.arguments import Targets, resolve_targets
from sib.explain.state import device_of, logits_of
from sib.functional import checks
from sib.functional.label_kinds import kind_of
from sib.functional.precision import to_float64
from sib.metrics.arguments import check_maps_of, scored
from sib.metrics.blur import gaussian_blur
from sib.models.mode import evaluation_mode

BASELINES = ("blur", "mean")
DIRECTIONS = ("insertion", "deletion")


def insertion_area(
    model: nn.Module,
    images: Tensor,
    attribution: Tensor,
    targets: Targets = None,
    *,
    steps: int = 20,
    baseline: str = "blur",
    batch_size: int = 64,
) -> Tensor:
    """Area under the probability of the target as the most attributed pixels appear.

    AUC = Σ_{s=1}^S (p_{s−1} + p_s) / 2S, p_s the probability of t at x_s: softmax(model(x_s))_t, or
    σ(model(x_s)_t) with several labels an image; x_s is the baseline with the s/S most attributed
    pixels of the image. In [0, 1], larger is better. The order is that of the signed attribution;
    see `perturbation_curve` for ties and baselines.

    Args:
        model: classifier (B, C, H, W) → (B, K); left unchanged.
        images: (B, C, H, W).
        attribution: (B, H, W).
        targets: (B,) classes, one class for all, or None for the predicted ones.
        steps: S, at least 1.
        baseline: ``"blur"`` or ``"mean"``.
        batch_size: images in one forward pass.

    Returns:
        (B,), NaN for a zero map.

    Raises:
        ValueError: an argument is not allowed.

    Source: Petsiuk et al. 2018, RISE, where insertion starts from a blurred image.

    Example:
        >>> import sib, torch
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 3))
        >>> images, maps = torch.randn(2, 3, 4, 4), torch.rand(2, 4, 4)
        >>> sib.metrics.insertion_area(model, images, maps).shape
        torch.Size([2])
    """
    curve = perturbation_curve(
        model, images, attribution, targets, "insertion", steps, baseline, batch_size
    )
    return _area(curve, attribution)


def deletion_area(
    model: nn.Module,
    images: Tensor,
    attribution: Tensor,
    targets: Targets = None,
    *,
    steps: int = 20,
    baseline: str = "mean",
    batch_size: int = 64,
) -> Tensor:
    """Area under the probability of the target as the most attributed pixels disappear.

    As `insertion_area`, with x_s the image in which the s/S most attributed pixels show the
    baseline. In [0, 1], smaller is better.

    Args:
        model: classifier (B, C, H, W) → (B, K); left unchanged.
        images: (B, C, H, W).
        attribution: (B, H, W).
        targets: (B,) classes, one class for all, or None for the predicted ones.
        steps: S, at least 1.
        baseline: ``"blur"`` or ``"mean"``.
        batch_size: images in one forward pass.

    Returns:
        (B,), NaN for a zero map.

    Raises:
        ValueError: an argument is not allowed.

    Source: Petsiuk et al. 2018, RISE, where deletion ends at a constant image.

    Example:
        >>> import sib, torch
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 3))
        >>> images, maps = torch.randn(2, 3, 4, 4), torch.rand(2, 4, 4)
        >>> sib.metrics.deletion_area(model, images, maps, steps=5).shape
        torch.Size([2])
    """
    curve = perturbation_curve(
        model, images, attribution, targets, "deletion", steps, baseline, batch_size
    )
    return _area(curve, attribution)


@torch.no_grad()
def perturbation_curve(
    model: nn.Module,
    images: Tensor,
    attribution: Tensor,
    targets: Targets = None,
    direction: str = "deletion",
    steps: int = 20,
    baseline: str = "blur",
    batch_size: int = 64,
) -> Tensor:
    """Probability of the target after each step of insertion or deletion.

    Pixels are ordered from the largest signed attribution to the smallest, all channels together.
    Ties are broken by one fixed random order of the pixels instead of by rows, so that the zeros of
    a map do not form a pattern. ``"mean"`` is each image's mean colour. ``"blur"`` is a Gaussian
    blur with σ a tenth of the image's shorter side, which hides the object. The blur of RISE (σ = 5
    of 224 pixels, cut at 11) leaves it visible.

    Args:
        model: classifier (B, C, H, W) → (B, K); left unchanged.
        images: (B, C, H, W).
        attribution: (B, H, W).
        targets: (B,) classes, one class for all, or None for the predicted ones.
        direction: ``"insertion"`` or ``"deletion"``.
        steps: S, at least 1.
        baseline: ``"blur"`` or ``"mean"``.
        batch_size: images in one forward pass.

    Returns:
        (B, S + 1), from none to all of the pixels.

    Raises:
        ValueError: an argument is not allowed.

    Source: Petsiuk et al. 2018, RISE.

    Example:
        >>> import sib, torch
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 3))
        >>> images, maps = torch.randn(2, 3, 4, 4), torch.rand(2, 4, 4)
        >>> sib.metrics.perturbation_curve(model, images, maps, steps=5).shape
        torch.Size([2, 6])
    """
    _check(images, attribution, direction, steps, baseline, batch_size)
    images = images.detach().to(device_of(model, images))
    ranks = pixel_ranks(attribution.to(images.device))
    plain = (
        gaussian_blur(images) if baseline == "blur" else images.mean((2, 3), True).expand_as(images)
    )
    first, last = (plain, images) if direction == "insertion" else (images, plain)
    changed = [round(step * ranks[0].numel() / steps) for step in range(steps + 1)]
    pairs = [(image, pixels) for image in range(len(images)) for pixels in changed]
    probabilities_of = kind_of(model).probabilities
    probabilities = []
    with evaluation_mode(model):
        logits = torch.cat([logits_of(model, part) for part in images.split(batch_size)])
        chosen = resolve_targets(targets, logits)
        for start in range(0, len(pairs), batch_size):
            rows, counts = torch.tensor(pairs[start : start + batch_size], device=images.device).T
            shown = (ranks[rows] < counts[:, None, None]).unsqueeze(1)
            logits = logits_of(model, torch.where(shown, last[rows], first[rows]))
            mine = chosen[rows].unsqueeze(1)
            probabilities.append(probabilities_of(logits.float()).gather(1, mine).squeeze(1))
    return torch.cat(probabilities).view(len(images), steps + 1)


def _check(
    images: Tensor, attribution: Tensor, direction: str, steps: int, baseline: str, batch_size: int
) -> None:
    check_maps_of(images, attribution)
    checks.choice("direction", direction, DIRECTIONS)
    checks.choice("baseline", baseline, BASELINES)
    checks.whole_number("steps", steps)
    checks.whole_number("batch_size", batch_size)


def _area(curve: Tensor, attribution: Tensor) -> Tensor:
    area = torch.trapezoid(to_float64(curve), dx=1 / (curve.shape[1] - 1), dim=1)
    return scored(area, to_float64(attribution.abs().flatten(1)).to(curve.device))


def pixel_ranks(attribution: Tensor) -> Tensor:
    """Rank (B, H, W) of each pixel in the order of decreasing attribution, from 0."""
    rows = attribution.flatten(1)
    mixed = torch.randperm(rows.shape[1], generator=torch.Generator().manual_seed(0))
    mixed = mixed.to(rows.device)
    order = mixed[rows[:, mixed].argsort(dim=1, descending=True, stable=True)]
    places = torch.arange(rows.shape[1], device=rows.device).expand_as(order)
    return torch.empty_like(order).scatter_(1, order, places).view_as(attribution)
