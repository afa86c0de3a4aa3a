"""Foreground whose colours the VJP favours."""

import torch
from torch import Tensor

from sib.functional import checks
from sib.functional.mask import check_window, window_mean
from sib.functional.shares import energy

LEVELS = 8
"""Of each channel, which make the colours of an image."""
PRIOR = 5.0
"""Pixels of the image's mean that every colour is given, so that a rare one decides nothing."""
OWN = 1e-3
"""Weight of a pixel's own density beside that of its colour."""
FLAT = 1e-4
"""Spread over the largest value, up to which an image counts as constant."""


@torch.no_grad()
def appearance_foreground(R: Tensor, images: Tensor, window_size: int, area: float = 0.2) -> Tensor:
    """The part of each image whose colours R favours.

    a = √(mean of Σ_c R_c² over a window × window neighbourhood), over its largest value;
    ā_p = (Σ_{q ∼ p} a_q + κ a̅) / (n_p + κ), over the n_p pixels q of the same image that have p's
    colour, a̅ the mean of a, κ = 5; v = mean of ā + 10⁻³ a over the neighbourhood, so that a plain
    surface is ordered by R and not by rounding; M = 1 on the pixels whose v is among the largest
    ``area`` of their image, 0 elsewhere. Padding is never counted. A colour is one of 8 levels in
    each channel, of equal width between the image's least and largest value.

    R of a network in training is noisy, and a mask that is found from R alone confirms itself: the
    network is told to look where it looks. An object has its colours throughout, so what one part
    of it earns all of it gets.

    Args:
        R: (B, C, H, W), any scale.
        images: (B, C', H, W), under any normalisation that keeps the order of a channel's values.
            Of more than three channels the means of three groups count.
        window_size: side of the window in pixels, 1 to min(H, W).
        area: share of the pixels, in (0, 1).

    Returns:
        M, (B, 1, H, W), without gradient; 0 everywhere where v is constant up to 10⁻⁴ of itself.

    Raises:
        ValueError: the window is larger than the image, or the shapes do not fit.
    """
    checks.image_batch("R", R)
    checks.image_batch("images", images)
    if images.shape[0] != R.shape[0] or images.shape[-2:] != R.shape[-2:]:
        raise ValueError(
            f"images must be as many and as large as R; got {tuple(images.shape)} and "
            f"{tuple(R.shape)}"
        )
    check_window(window_size, R)
    strength = window_mean(energy(R), window_size, count_include_pad=False).clamp_min(0).sqrt()
    shared = _mean_by_colour(strength, _colours(images))
    favoured = shared + OWN * strength
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
