"""Objects in front of other images' backgrounds, so that the background carries no information."""

import torch
from torch import Tensor

from sib.functional import checks
from sib.functional.mask import window_mean

FAR = 0.02
"""Weight of the mean over the whole background relative to the mean around a pixel."""


@torch.no_grad()
def exchange_backgrounds(
    images: Tensor,
    foreground: Tensor,
    share: float = 0.7,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Show objects in front of the backgrounds of other images in the batch.

    x̃_i = F_i x_i + (1 − F_i) β_π(i), with π a random cycle through the annotated images and β_j
    the image j without its object. Outside F_j, β_j = x_j. Inside F_j, β_j is the mean of the
    background of x_j in a window of half the image's side, so that no second object appears. An
    annotated image is changed with probability ``share``, unless it is the only one in its batch.
    In such images the background carries no information about the label, which is what S-IB asks
    of the VJP.

    Args:
        images: (B, C, H, W).
        foreground: F, (B, 1, H, W), bool or in [0, 1]; zero everywhere for an image that is not
            annotated; it is not changed.
        share: probability that an annotated image is changed, in [0, 1].
        generator: source of randomness on the CPU, for the choice and the order; None for torch's
            default.

    Returns:
        (B, C, H, W), without gradient.

    Raises:
        ValueError: an argument is out of its range, or the shapes do not fit.

    Source: Xiao et al. 2021 (arXiv 2006.09994, "mixed-rand"), who test with such images. Here they
        are made within a batch, and the object is removed from the background.

    Example:
        >>> import sib, torch
        >>> images = torch.stack([torch.zeros(3, 4, 4), torch.ones(3, 4, 4)])
        >>> foreground = torch.zeros(2, 1, 4, 4)
        >>> foreground[..., 1:3, 1:3] = 1
        >>> exchanged = sib.functional.exchange_backgrounds(images, foreground, share=1.0)
        >>> exchanged[0, 0, 0, 0].item(), exchanged[0, 0, 1, 1].item()
        (1.0, 0.0)
    """
    checks.image_batch("images", images)
    checks.foreground(foreground, images, look=True)
    if not isinstance(share, (int, float)) or not 0 <= share <= 1:
        raise ValueError(f"share must lie in [0, 1]; got {share!r}")
    annotated = foreground.flatten(1).any(dim=1).nonzero().squeeze(1)
    cycle = torch.randperm(len(annotated), generator=generator)
    other = torch.empty_like(cycle)
    other[cycle] = cycle.roll(1)  # never the image itself
    chosen = (torch.rand(len(annotated), generator=generator) < share).to(images.device)
    kept = foreground[annotated].to(images.dtype)
    own = images[annotated]
    shown = kept * own + (1 - kept) * without_object(own, kept)[other.to(images.device)]
    result = images.clone()
    result[annotated[chosen]] = shown[chosen]
    return result


def without_object(images: Tensor, foreground: Tensor) -> Tensor:
    """The images with the foreground painted over by the mean of its surroundings."""
    outside = 1 - foreground
    window = max(1, min(images.shape[-2:]) // 2)
    near, weight = (
        window_mean(values, window, count_include_pad=False)
        for values in (images * outside, outside)
    )
    count = outside.sum(dim=(2, 3), keepdim=True).clamp_min(1)
    far = (images * outside).sum(dim=(2, 3), keepdim=True) / count
    return images * outside + foreground * (near + FAR * far) / (weight + FAR)
