"""A foreground mask of the colours that the VJP favours."""

import torch
from torch import Tensor

from sib.functional import checks
from sib.functional.mask import check_window, window_mean
from sib.functional.shares import energy

LEVELS = 8
"""Number of levels per channel; a pixel's levels together are its colour."""
PRIOR = 5.0
"""Pixels with the image's mean that are added to every colour, so that rare ones weigh little."""
OWN_WEIGHT = 1e-3
"""Weight of a pixel's own density relative to that of its colour."""
FLAT = 1e-4
"""An image is constant if its spread is at most this fraction of its largest value."""


@torch.no_grad()
def appearance_foreground(R: Tensor, images: Tensor, window_size: int, area: float = 0.2) -> Tensor:
    """The part of each image whose colours R favours.

    The strength a is √(mean of Σ_c R_c² over a window × window neighbourhood), divided by its
    largest value. It is averaged over the pixels of the same colour:
    ā_p = (Σ_{q ∼ p} a_q + κ a̅) / (n_p + κ), where q runs over the n_p pixels of the image that
    have p's colour, a̅ is the mean of a, and κ = 5. Then v = mean of ā + 10⁻³ a over the
    neighbourhood; the second part orders a plain surface by R instead of by rounding. The mask M
    is 1 on the share ``area`` of an image's pixels with the largest v, and 0 elsewhere. Padding is
    never counted. A colour is one of 8 levels in each channel; the levels divide the range between
    the image's smallest and largest value evenly.

    The R of a network in training is noisy, and a mask found from R alone confirms itself: the
    network is trained to look where it already looks. An object has the same colours throughout,
    so strength in one part of it spreads to the whole object.

    Args:
        R: (B, C, H, W), any scale.
        images: (B, C', H, W), under any normalisation that keeps the order of a channel's values.
            More than three channels are reduced to the means of three groups.
        window_size: side of the window in pixels, 1 to min(H, W).
        area: share of the pixels, in (0, 1).

    Returns:
        M, (B, 1, H, W), without gradient. All 0 for an image whose v is constant to within 10⁻⁴
        of its largest value.

    Raises:
        ValueError: the window is larger than the image, or the shapes do not fit.
    """
    checks.image_batch("R", R)
    checks.image_batch("images", images)
    if images.shape[0] != R.shape[0] or images.shape[-2:] != R.shape[-2:]:
        raise ValueError(
            f"images must have the number and the size of R; got {tuple(images.shape)} and "
            f"{tuple(R.shape)}"
        )
    check_window(window_size, R)
    strength = window_mean(energy(R), window_size, count_include_pad=False).clamp_min(0).sqrt()
    shared = _mean_by_colour(strength, _colours(images))
    favoured = shared + OWN_WEIGHT * strength
    return _largest(window_mean(favoured, window_size, count_include_pad=False), area)


def _colours(images: Tensor) -> Tensor:
    """The colour of every pixel, (B, H · W), 0 ≤ colour < LEVELS³."""
    values = images.detach().float().flatten(2)  # (B, C, pixels)
    if values.shape[1] > 3:
        values = torch.stack([group.mean(dim=1) for group in values.tensor_split(3, dim=1)], dim=1)
    low, high = values.amin(dim=2, keepdim=True), values.amax(dim=2, keepdim=True)
    spread = torch.where(high > low, high - low, 1)
    level = ((values - low) / spread * LEVELS).long().clamp(0, LEVELS - 1)
    place = LEVELS ** torch.arange(values.shape[1], device=values.device)
    return (level * place[None, :, None]).sum(dim=1)


def _mean_by_colour(values: Tensor, colours: Tensor) -> Tensor:
    """Each pixel's value replaced by the mean over its image's pixels of the same colour."""
    rows = values.flatten(1)
    mean = rows.mean(dim=1, keepdim=True)
    sums = rows.new_zeros(len(rows), LEVELS**3).scatter_add_(1, colours, rows)
    counts = rows.new_zeros(len(rows), LEVELS**3).scatter_add_(1, colours, torch.ones_like(rows))
    return ((sums + PRIOR * mean) / (counts + PRIOR)).gather(1, colours).view_as(values)


def _largest(values: Tensor, area: float) -> Tensor:
    """1 on the pixels whose value is among the largest of their image, 0 elsewhere."""
    rows = values.flatten(1)
    rank = max(1, round((1 - area) * rows.shape[1]))
    low, high = (value[:, None] for value in rows.aminmax(dim=1))
    threshold = rows.kthvalue(rank, dim=1, keepdim=True).values
    threshold = torch.where(high - low > FLAT * high, threshold, torch.inf)[..., None, None]
    return (values > threshold).to(values.dtype)
