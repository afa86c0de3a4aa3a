"""The object removed from an image, and its area filled."""

import torch
from torch import Tensor

from sib.functional import checks
from sib.functional.exchange import without_object
from sib.metrics.imputation import impute

FILLS = ("surroundings", "diffusion", "tiled")


@torch.no_grad()
def remove_object(images: Tensor, foreground: Tensor, fill: str = "surroundings") -> Tensor:
    """Images of the background alone, with the object's area filled by background.

    Every way of filling leaves traces, so conclusions should hold for more than one:

    - ``"surroundings"``: each pixel of the object shows the mean of the background in a window of
      half the image's side around it. Smooth; the outline stays visible.
    - ``"diffusion"``: the colours at the outline diffuse inwards, see `impute`. No visible edge;
      smooth inside.
    - ``"tiled"``: the bounding box of the object is covered with copies of the largest strip of
      the image above, below, left or right of the box. Keeps the texture and hides the outline.

    Args:
        images: (B, C, H, W).
        foreground: F, (B, 1, H, W), bool or in [0, 1]; where it is above 0 the pixel is replaced,
            in proportion for ``"surroundings"``.
        fill: one of `FILLS`.

    Returns:
        (B, C, H, W), without gradient. NaN for an image that the object, or for ``"tiled"`` its
        box, covers completely.

    Raises:
        ValueError: an argument is not allowed.

    Source: Xiao et al. 2020, Noise or signal (arXiv 2006.09994), "Only-BG-T" for ``"tiled"``;
        Rong et al. 2022 (arXiv 2202.00449) for ``"diffusion"``.

    Example:
        >>> import torch
        >>> from sib.metrics.behaviour import remove_object
        >>> images, foreground = torch.zeros(1, 1, 3, 3), torch.zeros(1, 1, 3, 3).bool()
        >>> images[..., 1, 1], foreground[..., 1, 1] = 9.0, True
        >>> remove_object(images, foreground, "diffusion").max().item()
        0.0
    """
    checks.image_batch("images", images)
    checks.foreground(foreground, images, look=True)
    checks.choice("fill", fill, FILLS)
    inside = foreground > 0
    if fill == "diffusion":
        return impute(images, inside)
    if fill == "tiled":
        return torch.stack([_tiled(*pair) for pair in zip(images, inside[:, 0], strict=True)])
    filled = without_object(images, foreground.to(images.dtype))
    return filled.masked_fill(inside.flatten(1).all(dim=1)[:, None, None, None], torch.nan)


def _tiled(image: Tensor, inside: Tensor) -> Tensor:
    """One image (C, H, W) with the box around its object (H, W) covered by background."""
    if not inside.any():
        return image.clone()
    rows, columns = inside.any(dim=1).nonzero(), inside.any(dim=0).nonzero()
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    left, right = int(columns[0]), int(columns[-1]) + 1
    strips = (image[:, :top], image[:, bottom:], image[:, :, :left], image[:, :, right:])
    strip = max(strips, key=lambda part: part.numel())
    if not strip.numel():
        return torch.full_like(image, torch.nan)
    height, width = bottom - top, right - left
    copies = (1, -(-height // strip.shape[1]), -(-width // strip.shape[2]))
    result = image.clone()
    result[:, top:bottom, left:right] = strip.repeat(copies)[:, :height, :width]
    return result
