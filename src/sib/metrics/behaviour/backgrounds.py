"""The same object in front of a changed background."""

from collections.abc import Sequence

import torch
from torch import Tensor

from sib.functional import checks
from sib.metrics.blur import SHARE, gaussian_blur

Colour = float | Sequence[float] | Tensor
"""One value for all channels, or one for each, in the units of the images."""


@torch.no_grad()
def before_background(images: Tensor, foreground: Tensor, background: Tensor) -> Tensor:
    """Show objects in front of other backgrounds: F x + (1 − F) β.

    Args:
        images: x, (B, C, H, W).
        foreground: F, (B, 1, H, W), bool or in [0, 1].
        background: β, a tensor that broadcasts to the images.

    Returns:
        (B, C, H, W), without gradient.

    Raises:
        ValueError: the shapes do not match.

    Source: Xiao et al. 2020, Noise or signal (arXiv 2006.09994), "mixed-rand" and "mixed-same"
        where β is another image without its object.

    Example:
        >>> import torch
        >>> from sib.metrics.behaviour import before_background
        >>> images, foreground = torch.ones(1, 1, 1, 2), torch.tensor([[[[True, False]]]])
        >>> before_background(images, foreground, torch.zeros(1, 1, 1, 1)).tolist()
        [[[[1.0, 0.0]]]]
    """
    checks.image_batch("images", images)
    checks.foreground(foreground, images, look=True)
    kept = foreground.to(images.dtype)
    # where, not a product with 0: hidden values must not matter, not even NaN
    mixed = kept * images + (1 - kept) * background
    return torch.where(kept == 1, images, torch.where(kept == 0, background, mixed))


def blur_background(images: Tensor, foreground: Tensor, *, share: float = SHARE) -> Tensor:
    """Blur the background without letting the object's colours bleed into it.

    β = G(x (1 − F)) / G(1 − F), with the Gaussian G of `gaussian_blur`.

    Args:
        images: x, (B, C, H, W).
        foreground: F, (B, 1, H, W), bool or in [0, 1].
        share: standard deviation as a share of the shorter side, above 0.

    Returns:
        (B, C, H, W), without gradient.

    Raises:
        ValueError: an argument is not allowed.

    Source: own.

    Example:
        >>> import torch
        >>> from sib.metrics.behaviour import blur_background
        >>> images, foreground = torch.ones(1, 1, 4, 4), torch.eye(4).bool()[None, None]
        >>> blur_background(images, foreground).allclose(images)
        True
    """
    checks.positive("share", share)
    checks.foreground(foreground, images, look=True)
    outside = 1 - foreground.to(images.dtype)
    weight = gaussian_blur(outside, share)
    blurred = gaussian_blur(images * outside, share) / weight.clamp_min(1e-12)
    return before_background(images, foreground, blurred)


def grey_background(
    images: Tensor, foreground: Tensor, *, mean: Colour = 0.0, deviation: Colour = 1.0
) -> Tensor:
    """Remove the colour of the background, but keep its brightness.

    Each pixel shows the mean over channels of its values before normalisation,
    g = mean_c (σ_c x_c + μ_c), normalised again: β_c = (g − μ_c) / σ_c.

    Args:
        images: x, (B, C, H, W), normalised.
        foreground: F, (B, 1, H, W), bool or in [0, 1].
        mean: μ, the mean of the normalisation.
        deviation: σ, the standard deviation of the normalisation, not 0.

    Returns:
        (B, C, H, W), without gradient.

    Raises:
        ValueError: an argument is not allowed.

    Source: own.

    Example:
        >>> import torch
        >>> from sib.metrics.behaviour import grey_background
        >>> red = torch.tensor([3.0, 0.0, 0.0]).view(1, 3, 1, 1)
        >>> grey_background(red, torch.zeros(1, 1, 1, 1)).flatten().tolist()
        [1.0, 1.0, 1.0]
    """
    centre, scale = colour("mean", mean, images), colour("deviation", deviation, images)
    if (scale == 0).any():
        raise ValueError("deviation must not be 0")
    brightness = (scale * images + centre).mean(dim=1, keepdim=True)
    return before_background(images, foreground, (brightness - centre) / scale)


def noise_background(
    images: Tensor, foreground: Tensor, *, amount: float = 1.0, seed: int = 0
) -> Tensor:
    """Add Gaussian noise to the background.

    β = x + amount · s ε, with s the standard deviation of the image and ε standard normal, clipped
    to the image's smallest and largest value in each channel.

    Args:
        images: x, (B, C, H, W).
        foreground: F, (B, 1, H, W), bool or in [0, 1].
        amount: standard deviation of the noise relative to the image's, above 0.
        seed: of ε, which is the same for every image, so that no image depends on its batch.

    Returns:
        (B, C, H, W), without gradient.

    Raises:
        ValueError: an argument is not allowed.

    Source: own.

    Example:
        >>> import torch
        >>> from sib.metrics.behaviour import noise_background
        >>> images, foreground = torch.rand(1, 3, 4, 4), torch.eye(4).bool()[None, None]
        >>> changed = noise_background(images, foreground) != images
        >>> bool((changed & foreground).any())
        False
    """
    checks.positive("amount", amount)
    checks.whole_number("seed", seed, smallest=0)
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(images.shape[1:], generator=generator).to(images)
    spread = images.flatten(1).std(dim=1, correction=0)[:, None, None, None]
    low, high = (limit(images, dim=(2, 3), keepdim=True) for limit in (torch.amin, torch.amax))
    noisy = (images + amount * spread * drawn).clamp(low, high)
    return before_background(images, foreground, noisy)


def keep_object(images: Tensor, foreground: Tensor, *, fill: Colour = 0.0) -> Tensor:
    """Show the object alone, in front of a uniform colour.

    Args:
        images: (B, C, H, W), normalised.
        foreground: (B, 1, H, W), bool or in [0, 1].
        fill: the colour, in the units of the images; 0 is the mean colour of normalised images.

    Returns:
        (B, C, H, W), without gradient.

    Raises:
        ValueError: an argument is not allowed.

    Source: Xiao et al. 2020, Noise or signal (arXiv 2006.09994), "only-FG", with black.

    Example:
        >>> import torch
        >>> from sib.metrics.behaviour import keep_object
        >>> images, foreground = torch.ones(1, 1, 1, 2), torch.tensor([[[[True, False]]]])
        >>> keep_object(images, foreground, fill=0.5).tolist()
        [[[[1.0, 0.5]]]]
    """
    return before_background(images, foreground, colour("fill", fill, images))


def colour(name: str, value: Colour, images: Tensor) -> Tensor:
    """(1, 1 or C, 1, 1); raise ValueError unless it is a number or has one for each channel."""
    found = torch.as_tensor(value, dtype=images.dtype, device=images.device).flatten()
    if len(found) not in (1, images.shape[1]) or not found.isfinite().all():
        raise ValueError(
            f"{name} must be a finite number, or one for each of {images.shape[1]} channels; got "
            f"{value!r}"
        )
    return found.view(1, -1, 1, 1)
