"""The energy that a map has by chance, and how far a map exceeds it."""

import torch
from torch import Tensor

from sib.functional import checks
from sib.functional.precision import to_float64
from sib.metrics.localisation import foreground_energy

WIDTH = 0.25
"""Standard deviation of the centre prior, as a share of each side."""


def even_energy(foreground: Tensor) -> Tensor:
    """Energy of a constant map: the foreground's share of the area.

    c = |F| / HW, with the foreground F. In [0, 1].

    Args:
        foreground: (B, H, W), bool.

    Returns:
        (B,), NaN for an image without foreground.

    Raises:
        ValueError: ``foreground`` is not a bool (B, H, W).

    Source: the definition of `foreground_energy`.

    Example:
        >>> import sib, torch
        >>> sib.metrics.even_energy(torch.tensor([[[True, False], [False, False]]])).item()
        0.25
    """
    _check(foreground)
    return foreground_energy(torch.ones(foreground.shape, device=foreground.device), foreground)


def centre_energy(foreground: Tensor, *, width: float = WIDTH) -> Tensor:
    """Energy of a Gaussian in the middle of the image, where photographers put objects.

    c = Σ_{ij ∈ F} g_ij / Σ_ij g_ij, g_ij = exp(−(y_i² + x_j²) / 2 width²), with the foreground F
    and the distances y, x from the middle in units of the sides. In [0, 1].

    Args:
        foreground: (B, H, W), bool.
        width: standard deviation as a share of each side, above 0. A larger width brings the value
            closer to `even_energy`.

    Returns:
        (B,), NaN for an image without foreground.

    Raises:
        ValueError: ``foreground`` is not a bool (B, H, W), or ``width`` is not above 0.

    Source: the centre prior of saliency benchmarks, Judd et al. 2009, Learning to predict where
        humans look.

    Example:
        >>> import sib, torch
        >>> middle = torch.zeros(1, 3, 3).bool()
        >>> middle[0, 1, 1] = True
        >>> sib.metrics.centre_energy(middle) > sib.metrics.even_energy(middle)
        tensor([True])
    """
    checks.positive("width", width)
    _check(foreground)
    sides = [
        torch.exp(-(((torch.arange(size) + 0.5) / size - 0.5) ** 2).double() / (2 * width**2))
        for size in foreground.shape[1:]
    ]
    prior = torch.outer(*sides).float().to(foreground.device)
    return foreground_energy(prior.expand(foreground.shape), foreground)


def chance_corrected(values: Tensor, chance: Tensor) -> Tensor:
    """Gain over chance, as a share of the largest possible gain: (e − c) / (1 − c).

    At most 1, larger is better; 0 at chance, negative below.

    Args:
        values: e, (B,), at most 1, such as `foreground_energy`.
        chance: c, (B,), in [0, 1], such as `even_energy`, or the energy of the maps of an untrained
            network.

    Returns:
        (B,), NaN if no gain is possible (c = 1), or if either is NaN.

    Raises:
        ValueError: the shapes differ.

    Source: Cohen 1960, A coefficient of agreement for nominal scales (κ has this form).

    Example:
        >>> import sib, torch
        >>> sib.metrics.chance_corrected(torch.tensor([0.7]), torch.tensor([0.4]))
        tensor([0.5000])
    """
    if values.shape != chance.shape:
        raise ValueError(
            f"values and chance must have one shape; got {checks.shape(values)} and "
            f"{checks.shape(chance)}"
        )
    left = 1 - to_float64(chance)
    gained = (to_float64(values) - to_float64(chance)) / left
    return torch.where(left > 0, gained, torch.nan).float()


def energy_gain(attribution: Tensor, foreground: Tensor) -> Tensor:
    """Gain in energy on the object over a constant map, as a share of the largest possible gain.

    (e − c) / (1 − c), with e = `foreground_energy` and c = `even_energy`. At most 1, larger is
    better; 0 for a constant map, negative for a map that avoids the object. Unlike the energy, it
    is comparable between objects of different sizes.

    Args:
        attribution: (B, H, W).
        foreground: (B, H, W), bool.

    Returns:
        (B,), NaN for an image without foreground, without background, or with no positive
        attribution.

    Raises:
        ValueError: the shapes do not match, or ``foreground`` is not bool.

    Source: Wang et al. 2020, Score-CAM, for the energy; Cohen 1960 for the correction.

    Example:
        >>> import sib, torch
        >>> foreground = torch.tensor([[[True, False], [False, False]]])
        >>> sib.metrics.energy_gain(torch.ones(1, 2, 2), foreground).item()
        0.0
    """
    energy = foreground_energy(attribution, foreground)
    return chance_corrected(energy, even_energy(foreground))


def energy_gain_over_centre(
    attribution: Tensor, foreground: Tensor, *, width: float = WIDTH
) -> Tensor:
    """Gain in energy on the object over the centre prior, as a share of the largest possible gain.

    As `energy_gain`, with c = `centre_energy`. It is 0 for a map that only marks the middle of the
    image.

    Args:
        attribution: (B, H, W).
        foreground: (B, H, W), bool.
        width: standard deviation of the prior as a share of each side, above 0.

    Returns:
        (B,), NaN for an image without foreground, without background, or with no positive
        attribution.

    Raises:
        ValueError: the shapes do not match, ``foreground`` is not bool, or ``width`` is not
            above 0.

    Source: as `energy_gain`, and Judd et al. 2009 for the prior.

    Example:
        >>> import sib, torch
        >>> foreground = torch.tensor([[[True, False], [False, False]]])
        >>> sib.metrics.energy_gain_over_centre(foreground.float(), foreground).item()
        1.0
    """
    energy = foreground_energy(attribution, foreground)
    return chance_corrected(energy, centre_energy(foreground, width=width))


def _check(foreground: Tensor) -> None:
    if foreground.ndim != 3 or foreground.dtype != torch.bool or not foreground.numel():
        raise ValueError(
            f"foreground must be a non-empty bool (B, H, W); got {foreground.dtype} of shape "
            f"{checks.shape(foreground)}"
        )
