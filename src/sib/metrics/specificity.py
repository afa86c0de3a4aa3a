"""Is a map specific to the class that it explains, or the same for every class?"""

from typing import NamedTuple, Unpack

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sib.explain import attribute
from sib.explain.arguments import Targets, resolve_targets
from sib.explain.call import AttributeOptions
from sib.explain.state import device_of, logits_of
from sib.functional import checks
from sib.metrics.localisation import foreground_energy
from sib.metrics.randomisation import rank_correlation
from sib.models.mode import evaluation_mode

OTHERS = ("runner_up", "least_likely")


class Mosaics(NamedTuple):
    """Images of distinct classes side by side, one mosaic for each image that can have one.

    Example:
        >>> import sib, torch
        >>> images, labels = torch.randn(5, 3, 8, 8), torch.tensor([0, 1, 2, 3, 0])
        >>> mosaics = sib.metrics.make_mosaics(images, labels)
        >>> mosaics.images.shape[1:], mosaics.owners.tolist()
        (torch.Size([3, 16, 16]), [0, 1, 2, 3, 4])
    """

    images: Tensor
    """(M, C, nH, nW)."""
    owners: Tensor
    """(M,) rows of the images that the mosaics are for."""
    cells: Tensor
    """(M,) the owner's cell, counted along the rows."""


def class_correlation(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    method: str = "gradcam",
    *,
    other: str = "runner_up",
    **options: Unpack[AttributeOptions],
) -> Tensor:
    """Rank correlation between the map of another class and that of the target.

    ρ = Spearman(a(x; t), a(x; u)), with u the class of the largest (``"runner_up"``) or smallest
    (``"least_likely"``) logit among the others. In [−1, 1], smaller is better: at 1 the map does
    not depend on the class. Methods without a target, such as ``"vjp"``, score 1.

    Args:
        model: classifier (B, C, H, W) → (B, K), K at least 2; left unchanged.
        images: (B, C, H, W).
        targets: t, (B,) classes, one class for all, or None for the predicted ones.
        method: one of `sib.explain.METHODS`.
        other: which other class.
        options: further options of `sib.explain.attribute`.

    Returns:
        (B,), NaN where a map is constant.

    Raises:
        ValueError: an argument is not allowed, or a model of one class.

    Source: Rebuffi et al. 2020, There and back again (arXiv 2004.02866), class sensitivity, there
        between the most and the least likely class.

    Example:
        >>> import sib, torch
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 3))
        >>> images = torch.randn(2, 3, 4, 4)
        >>> sib.metrics.class_correlation(model, images, method="vjp").tolist()
        [1.0, 1.0]
    """
    checks.image_batch("images", images)
    checks.choice("other", other, OTHERS)
    images = images.to(device_of(model, images))
    with evaluation_mode(model), torch.no_grad():
        logits = logits_of(model, images).float()
    if logits.shape[1] < 2:
        raise ValueError("model must have at least two classes; got one logit for each image")
    chosen = resolve_targets(targets, logits)
    sign = 1.0 if other == "runner_up" else -1.0
    second = (sign * logits).scatter(1, chosen[:, None], -torch.inf).argmax(dim=1)
    maps = [attribute(model, images, classes, method, **options) for classes in (chosen, second)]
    return rank_correlation(*maps)


def grid_pointing_game(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    method: str = "gradcam",
    *,
    cells: int = 2,
    shrink: bool = True,
    seed: int = 0,
    **options: Unpack[AttributeOptions],
) -> Tensor:
    """Share of a class's positive attribution that falls on its own image in a mosaic.

    L = Σ_{p ∈ cell} max(a_p, 0) / Σ_p max(a_p, 0), with the map a of the target in a mosaic of
    cells × cells images of distinct classes. In [0, 1], larger is better; a map that does not
    depend on the class scores 1 / cells² on average. It needs no annotation.

    Each image gets its own mosaic: the image in a random cell, and around it random images of the
    batch with other, distinct target classes. The batch must therefore contain at least cells²
    classes.

    Args:
        model: classifier (B, C, H, W) → (B, K); left unchanged.
        images: (B, C, H, W).
        targets: (B,) classes, one class for all, or None for the predicted ones.
        method: one of `sib.explain.METHODS`.
        cells: images along each side of the mosaic, at least 2.
        shrink: scale the mosaic down to the size of one image, as networks with a fixed input
            size need. Otherwise it is cells times as high and wide, as in the publication.
        seed: seed of the mosaics.
        options: further options of `sib.explain.attribute`.

    Returns:
        (B,), NaN for an image for which the batch has too few other classes, or whose map has no
        positive attribution.

    Raises:
        ValueError: an argument is not allowed.

    Source: Böhle et al. 2021, Convolutional dynamic alignment networks (arXiv 2104.00032); named
        GridPG by Rao et al. 2022, Towards better understanding attribution methods. There only
        images that are classified with high confidence are used.

    Example:
        >>> import sib, torch
        >>> model = torch.nn.Sequential(
        ...     torch.nn.Conv2d(3, 4, 1), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
        ... )
        >>> images = torch.randn(4, 3, 8, 8)
        >>> shares = sib.metrics.grid_pointing_game(model, images, torch.arange(4), "saliency")
        >>> shares.round(decimals=2).tolist()  # its gradient is the same everywhere
        [0.25, 0.25, 0.25, 0.25]
    """
    checks.image_batch("images", images)
    checks.whole_number("cells", cells, smallest=2)
    checks.whole_number("seed", seed, smallest=0)
    images = images.to(device_of(model, images))
    if min(images.shape[2:]) < cells:
        raise ValueError(f"cells must not exceed the image's sides {tuple(images.shape[2:])}")
    with evaluation_mode(model), torch.no_grad():
        chosen = resolve_targets(targets, logits_of(model, images))
    mosaics = make_mosaics(images, chosen, cells=cells, seed=seed)
    values = torch.full((len(images),), torch.nan, device=images.device)
    if not len(mosaics.owners):
        return values
    shown = mosaics.images
    if shrink:
        size = list(images.shape[2:])
        shown = F.interpolate(shown, size, mode="bilinear", antialias=True, align_corners=False)
    maps = attribute(model, shown, chosen[mosaics.owners], method, **options)
    values[mosaics.owners] = foreground_energy(maps, _cell_masks(maps, mosaics.cells, cells))
    return values


def make_mosaics(images: Tensor, classes: Tensor, *, cells: int = 2, seed: int = 0) -> Mosaics:
    """A mosaic for each image, surrounded by images of the batch with other, distinct classes.

    Args:
        images: (B, C, H, W).
        classes: (B,).
        cells: n, images along each side, at least 1.
        seed: seed of the choice and order of the other images.

    Returns:
        `Mosaics`; empty if the batch has fewer than n² classes.

    Raises:
        ValueError: an argument is not allowed.

    Source: Böhle et al. 2021 (arXiv 2104.00032).

    Example:
        >>> import sib, torch
        >>> mosaics = sib.metrics.make_mosaics(torch.randn(5, 3, 8, 8), torch.arange(5))
        >>> mosaics.images.shape, mosaics.owners.tolist()
        (torch.Size([5, 3, 16, 16]), [0, 1, 2, 3, 4])
    """
    checks.image_batch("images", images)
    checks.whole_number("cells", cells)
    if classes.shape != images.shape[:1]:
        raise ValueError(f"classes must be ({len(images)},); got {checks.shape(classes)}")
    names = classes.tolist()
    if len(set(names)) < cells**2:
        nothing = torch.zeros(0, dtype=torch.long, device=images.device)
        height, width = (cells * side for side in images.shape[2:])
        return Mosaics(images.new_zeros(0, images.shape[1], height, width), nothing, nothing)
    generator = torch.Generator().manual_seed(seed)
    layouts, places = [], []
    for owner, name in enumerate(names):
        others: dict[int, int] = {}
        for row in torch.randperm(len(names), generator=generator).tolist():
            if names[row] != name:
                others.setdefault(names[row], row)
        layout = list(others.values())[: cells**2 - 1]
        place = int(torch.randint(cells**2, (), generator=generator))
        layout.insert(place, owner)
        layouts.append(layout)
        places.append(place)
    parts = images[torch.tensor(layouts, device=images.device)]
    rows = parts.unflatten(1, (cells, cells)).permute(0, 3, 1, 4, 2, 5)
    shown = rows.flatten(4, 5).flatten(2, 3)
    owners = torch.arange(len(names), device=images.device)
    return Mosaics(shown, owners, torch.tensor(places, device=images.device))


def _cell_masks(maps: Tensor, places: Tensor, cells: int) -> Tensor:
    """(M, H, W), True in the cell of each mosaic's owner."""
    height, width = maps.shape[1:]
    down = torch.arange(height, device=maps.device) * cells // height
    across = torch.arange(width, device=maps.device) * cells // width
    return (down[:, None] * cells + across) == places[:, None, None]
