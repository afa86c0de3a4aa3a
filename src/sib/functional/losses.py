"""The two terms of S-IB: alignment inside the foreground, variance outside, and their variants."""

import torch
from torch import Tensor

from sib.functional import checks
from sib.functional.parts import (
    LOCAL,
    Dependence,
    alignment,
    alignment_parts,
    background,
    background_parts,
)
from sib.functional.precision import at_least_float32

ALIGNMENTS = ("hsic", "ssim")


def foreground_alignment(
    R: Tensor,
    images: Tensor,
    mask: Tensor,
    projection_dim: int | None = None,
    *,
    kind: str = "hsic",
    estimator: str = "biased",
    generator: torch.Generator | None = None,
) -> Tensor:
    """How much information the reconstruction carries about the image inside the foreground.

    ``"hsic"``: HSIC(a, b), where a = R∘M and b = x∘M are flattened to rows of norm 1. With
    ``projection_dim``, both are multiplied by one random Gaussian matrix and normalised again.

    ``"ssim"``: the structural similarity of R∘M and x∘M, each scaled to [0, 1] over the batch.

    Args:
        R: (B, C, H, W), any scale above zero.
        images: (B, C, H, W).
        mask: (B, 1, H, W), in [0, 1].
        projection_dim: columns of the random matrix; None for no projection.
        kind: ``"hsic"`` (published) or ``"ssim"``.
        estimator: how HSIC is estimated, ``"biased"`` (published) or ``"unbiased"``.
        generator: source of randomness for the random matrix; None for torch's default.

    Returns:
        A scalar; larger is more aligned.

    Raises:
        ValueError: the shapes do not match, or the batch is too small for the estimator.

    Source: arXiv 2511.09239; SSIM from Wang et al. 2004, an unused option of the scripts.

    Example:
        >>> import sib, torch
        >>> images, mask = torch.randn(8, 3, 2, 2), torch.ones(8, 1, 2, 2)
        >>> same = sib.functional.foreground_alignment(images, images, mask)
        >>> other = sib.functional.foreground_alignment(torch.randn_like(images), images, mask)
        >>> bool(same > other)
        True
    """
    checks.choice("kind", kind, ALIGNMENTS)
    R, images, mask = check_terms(R, images, mask)
    dependence = Dependence(projection_dim, estimator, generator)
    return alignment(alignment_parts(R, images, mask, kind), kind, dependence, LOCAL)


def background_variance(R: Tensor, mask: Tensor) -> Tensor:
    """Variance of the reconstruction outside the foreground.

    mean_b Var_{c,i,j}[R∘(1 − M)]: the unbiased variance over the channels and pixels of an image,
    averaged over the batch. It grows with the square of R's scale.

    Args:
        R: (B, C, H, W).
        mask: (B, 1, H, W), in [0, 1].

    Returns:
        A scalar; smaller means less information in the background.

    Raises:
        ValueError: the shapes do not match, or an image has a single value, which has no variance.

    Source: arXiv 2511.09239.

    Example:
        >>> import sib, torch
        >>> R, mask = torch.randn(2, 3, 8, 8), torch.ones(2, 1, 8, 8)
        >>> sib.functional.background_variance(R, mask).item()
        0.0
    """
    R, mask = _checked_pair(R, mask)
    return background(background_parts(R, R, mask, "variance"), "variance", Dependence(), LOCAL)


def background_magnitude(R: Tensor, mask: Tensor) -> Tensor:
    """Mean of |R|∘(1 − M) over batch, channels and pixels; arguments as in `background_variance`.

    Source: published scripts, an unused option.

    Example:
        >>> import sib, torch
        >>> R, mask = torch.ones(1, 3, 2, 2), torch.tensor([[[[1.0, 1.0], [1.0, 0.0]]]])
        >>> sib.functional.background_magnitude(R, mask).item()
        0.25
    """
    R, mask = _checked_pair(R, mask)
    return background(background_parts(R, R, mask, "magnitude"), "magnitude", Dependence(), LOCAL)


def background_dependence(
    R: Tensor,
    images: Tensor,
    mask: Tensor,
    projection_dim: int | None = None,
    *,
    estimator: str = "biased",
    generator: torch.Generator | None = None,
) -> Tensor:
    """HSIC of R∘(1 − M) and x∘(1 − M); arguments as in `foreground_alignment`.

    Source: published scripts, an unused option.

    Example:
        >>> import sib, torch
        >>> images = torch.randn(4, 3, 8, 8)
        >>> sib.functional.background_dependence(images, images, torch.zeros(4, 1, 8, 8)).shape
        torch.Size([])
    """
    R, images, mask = check_terms(R, images, mask)
    dependence = Dependence(projection_dim, estimator, generator)
    return background(background_parts(R, images, mask, "hsic"), "hsic", dependence, LOCAL)


def check_terms(R: Tensor, images: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """All three in the precision of R, at least float32; raise if their shapes do not match."""
    checks.image_batch("images", images)
    if images.shape != R.shape:
        raise ValueError(
            f"images must have the shape of R, {checks.shape(R)}; got {checks.shape(images)}"
        )
    R, mask = _checked_pair(R, mask)
    return R, at_least_float32(images).to(R.dtype), mask


def _checked_pair(R: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    checks.image_batch("R", R)
    expected = (R.shape[0], 1, *R.shape[-2:])
    if tuple(mask.shape) != expected:
        raise ValueError(f"mask must have shape {expected}; got {checks.shape(mask)}")
    R = at_least_float32(R)
    return R, mask.to(R.dtype)
