"""Foreground mask: where in the image the reconstruction is concentrated."""

import torch
import torch.nn.functional as F
from torch import Tensor

from sib.functional import checks
from sib.functional.precision import at_least_float32
from sib.functional.quantile import soft_quantiles

KINDS = ("density", "hard", "centred", "area")


def foreground_mask(
    R: Tensor,
    window_size: int = 31,
    temperature: float = 0.1,
    slope: float = 10.0,
    *,
    kind: str = "density",
    epsilon: float = 1e-8,
    count_include_pad: bool = True,
    area: float = 0.1,
) -> Tensor:
    """Soft foreground mask of each image, found from its reconstruction alone.

    With Q the soft quantile:

    g = |mean_c R|;  n = (g − Q.05(g)) / (Q.95(g) − Q.05(g) + epsilon);
    h = sigmoid(slope (n − Q.8(n)));  d = mean of h over a window × window neighbourhood;
    M = sigmoid(slope (d − Q.8(d))).

    Everything is differentiable. Channels of opposite sign cancel in the mean (published).

    The published scripts have other kinds that they do not use. With s = g / (max g + 1e-6):
    ``"hard"``: n > Q.8(n), then d ≥ Q.8(d), with true quantiles and no gradient;
    ``"centred"``: sigmoid(slope (s − mean s));
    ``"area"``: sigmoid(slope (s − t)), with the constant t for which the mean of M is ``area``.

    Args:
        R: (B, C, H, W), any finite scale; half precision is computed in float32.
        window_size: side of the window in pixels, 1 to min(H, W). An even window reaches one pixel
            further down and right than up and left, and keeps the size.
        temperature: width of the soft quantiles in ranks, above 0.
        slope: slope of the sigmoids, above 0.
        kind: ``"density"`` (published), ``"hard"``, ``"centred"`` or ``"area"``.
        epsilon: keeps the normalisation finite where R is constant. It is absolute: R near
            ``epsilon`` flattens the mask, and R = 0 gives M = 0.5 away from the border.
        count_include_pad: True counts the zeros around the image in the window's mean (published;
            d falls to about half at an edge and a quarter in a corner). False counts only the
            pixels inside.
        area: target mean of the mask in (0, 1), for ``kind="area"``.

    Returns:
        M, shape (B, 1, H, W), in [0, 1].

    Raises:
        ValueError: an argument is out of its range, or the window is larger than the image.

    Source: arXiv 2511.09239, published scripts.

    Example:
        >>> import sib, torch
        >>> mask = sib.functional.foreground_mask(torch.randn(2, 3, 32, 32), window_size=7)
        >>> mask.shape, bool((mask >= 0).all() and (mask <= 1).all())
        (torch.Size([2, 1, 32, 32]), True)
    """
    checks.image_batch("R", R)
    checks.choice("kind", kind, KINDS)
    checks.positive("slope", slope)
    checks.positive("epsilon", epsilon)
    strength = at_least_float32(R).mean(dim=1, keepdim=True).abs()
    if kind in ("centred", "area"):
        return _threshold_mask(strength, slope, area if kind == "area" else None)
    check_window(window_size, R)
    if kind == "hard":
        return _hard_mask(strength, window_size, epsilon, count_include_pad)
    low, high, threshold = _image_quantiles(strength, (0.05, 0.95, 0.8), temperature)
    # n is an increasing affine map of g, so Q(n) = n(Q(g)) and the difference needs no second sort
    contrast = (strength - threshold) * _inverse_spread(low, high, epsilon)
    density = window_mean(torch.sigmoid(slope * contrast), window_size, count_include_pad)
    (density_threshold,) = _image_quantiles(density, (0.8,), temperature)
    return torch.sigmoid(slope * (density - density_threshold))


def guided_mask(mask: Tensor, foreground: Tensor, guidance: float = 1.0) -> Tensor:
    """A mask guided by an annotated foreground: (1 − γ) M + γ F.

    Args:
        mask: M, (B, 1, H, W), found from the reconstruction.
        foreground: F, (B, 1, H, W), bool or in [0, 1]. An image whose F is zero everywhere is not
            annotated and keeps M.
        guidance: γ in [0, 1]; 1 replaces M.

    Returns:
        (B, 1, H, W).
    """
    known = foreground.flatten(1).any(dim=1)[:, None, None, None]
    led = torch.lerp(mask, foreground.to(mask.dtype), guidance)
    return torch.where(known, led, mask)


def _inverse_spread(low: Tensor, high: Tensor, epsilon: float) -> Tensor:
    """1 / (high − low + ε); 0 where they differ only by rounding: the gradient could overflow."""
    spread = high - low
    rounding = torch.finfo(high.dtype).eps * high
    return torch.where(spread > rounding, 1 / (spread + epsilon), 0)


def window_mean(values: Tensor, window_size: int, count_include_pad: bool = True) -> Tensor:
    """Mean over a window × window neighbourhood of every pixel, with zeros around the image.

    Args:
        values: (B, 1, H, W).
        window_size: side of the window, even or odd; the output keeps the size of the input.
        count_include_pad: divide by the window's whole area, or by the part inside the image.

    Returns:
        (B, 1, H, W).
    """
    total = _window_sum(_window_sum(values, window_size, -1), window_size, -2)
    if count_include_pad:
        return total / window_size**2
    ones = torch.ones_like(values[:1])
    return total / _window_sum(_window_sum(ones, window_size, -1), window_size, -2)


def check_window(window_size: int, images: Tensor) -> None:
    """Raise unless the window is a whole number of pixels that fits into the images."""
    checks.whole_number("window_size", window_size)
    height, width = images.shape[-2:]
    if window_size > min(height, width):
        raise ValueError(
            f"window_size must not exceed the image: {window_size} pixels do not fit into "
            f"{height} × {width}"
        )


def _window_sum(values: Tensor, window_size: int, dim: int) -> Tensor:
    # Differences of running sums: the cost does not grow with the window.
    before, after = (window_size - 1) // 2, window_size // 2
    size = values.shape[dim]
    pad = (0, 0, before + 1, after) if dim == -2 else (before + 1, after)
    running = F.pad(values, pad).cumsum(dim)
    return running.narrow(dim, window_size, size) - running.narrow(dim, 0, size)


def _image_quantiles(maps: Tensor, qs: tuple[float, ...], temperature: float) -> list[Tensor]:
    rows = maps.flatten(1)
    return [value[..., None, None] for value in soft_quantiles(rows, qs, temperature)]


def _hard_mask(strength: Tensor, window_size: int, epsilon: float, include_pad: bool) -> Tensor:
    strength = strength.detach()
    low, high = (_true_quantile(strength, q) for q in (0.05, 0.95))
    contrast = (strength - low) / (high - low + epsilon)
    above = (contrast > _true_quantile(contrast, 0.8)).to(strength.dtype)
    density = window_mean(above, window_size, include_pad)
    return (density >= _true_quantile(density, 0.8)).to(strength.dtype)


def _true_quantile(maps: Tensor, q: float) -> Tensor:
    # torch.quantile refuses more than 16 million values, so the sort is explicit
    rows = maps.flatten(1).sort(dim=-1).values
    position = q * (rows.shape[-1] - 1)
    below, above = rows[:, int(position)], rows[:, -int(-position // 1)]
    return torch.lerp(below, above, position % 1)[:, None, None, None]


def _threshold_mask(strength: Tensor, slope: float, area: float | None) -> Tensor:
    scaled = strength / (strength.amax(dim=(1, 2, 3), keepdim=True) + 1e-6)
    if area is None:
        return torch.sigmoid(slope * (scaled - scaled.mean(dim=(1, 2, 3), keepdim=True)))
    return torch.sigmoid(slope * (scaled - _solve_threshold(scaled.detach(), slope, area)))


def _solve_threshold(scaled: Tensor, slope: float, area: float) -> Tensor:
    """The t with mean sigmoid(slope (s − t)) = area, by bisection on a bracket that holds it."""
    if not 0 < area < 1:
        raise ValueError(f"area must lie between 0 and 1, both excluded; got {area!r}")
    margin = abs(torch.logit(torch.tensor(area, dtype=torch.float64)).item()) / slope
    low = scaled.amin(dim=(1, 2, 3), keepdim=True) - margin
    high = scaled.amax(dim=(1, 2, 3), keepdim=True) + margin
    for _ in range(40):
        middle = (low + high) / 2
        too_large = torch.sigmoid(slope * (scaled - middle)).mean((1, 2, 3), keepdim=True) > area
        low, high = torch.where(too_large, middle, low), torch.where(too_large, high, middle)
    return (low + high) / 2
