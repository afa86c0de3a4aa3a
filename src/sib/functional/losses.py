"""The two terms of S-IB: alignment inside the foreground, variance outside, and their variants."""

import torch
import torch.nn.functional as F
from torch import Tensor

from sib.functional import checks
from sib.functional.dependence import hsic_of_kernels, random_projection
from sib.functional.precision import at_least_float32
from sib.functional.similarity import ssim

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
    """How much the reconstruction says about the image inside the foreground.

    ``"hsic"``: HSIC(a, b), a = R∘M and b = x∘M, flattened to rows of norm 1; with
    ``projection_dim`` both are multiplied by one random Gaussian matrix and normalised again.
    ``"ssim"``: the structural similarity of R∘M and x∘M, each scaled to [0, 1] over the batch.

    Args:
        R: (B, C, H, W), any scale above zero.
        images: (B, C, H, W).
        mask: (B, 1, H, W), in [0, 1].
        projection_dim: columns of the random matrix; None for no projection.
        kind: ``"hsic"`` (published) or ``"ssim"``.
        estimator: of HSIC, ``"biased"`` (published) or ``"unbiased"``.
        generator: of the random matrix.

    Returns:
        A scalar; larger is more aligned.

    Raises:
        ValueError: shapes that do not fit, or a batch too small for the estimator.

    Source: arXiv 2511.09239; SSIM from Wang et al. 2004, an unused option of the scripts.
    """
    checks.choice("kind", kind, ALIGNMENTS)
    R, images, mask = _checked(R, images, mask)
    if kind == "ssim":
        return ssim(_unit_range(R * mask), _unit_range(images * mask))
    return _row_dependence(R, images, mask, projection_dim, estimator, generator)


def background_variance(R: Tensor, mask: Tensor) -> Tensor:
    """What the reconstruction still varies by outside the foreground.

    mean_b Var_{c,i,j}[R∘(1 − M)], the unbiased variance over the channels and pixels of an image.
    It grows with the square of R's scale.

    Args:
        R: (B, C, H, W).
        mask: (B, 1, H, W), in [0, 1].

    Returns:
        A scalar; smaller is less information in the background.

    Raises:
        ValueError: the shapes do not fit, or an image has a single value, which has no variance.

    Source: arXiv 2511.09239.
    """
    R, mask = _checked_pair(R, mask)
    if R[0].numel() < 2:
        raise ValueError(f"R must have at least 2 values an image; got {checks.shape(R)}")
    return _RowVariance.apply((R * (1 - mask)).flatten(1)).mean()


def background_magnitude(R: Tensor, mask: Tensor) -> Tensor:
    """Mean of |R|∘(1 − M) over batch, channels and pixels; arguments as `background_variance`.

    Source: published scripts, an unused option.
    """
    R, mask = _checked_pair(R, mask)
    return (R.abs() * (1 - mask)).mean()


def background_dependence(
    R: Tensor,
    images: Tensor,
    mask: Tensor,
    projection_dim: int | None = None,
    *,
    estimator: str = "biased",
    generator: torch.Generator | None = None,
) -> Tensor:
    """HSIC of R∘(1 − M) and x∘(1 − M); arguments as `foreground_alignment`.

    Source: published scripts, an unused option.
    """
    R, images, mask = _checked(R, images, mask)
    return _row_dependence(R, images, 1 - mask, projection_dim, estimator, generator)


def _row_dependence(
    R: Tensor,
    images: Tensor,
    weight: Tensor,
    projection_dim: int | None,
    estimator: str,
    generator: torch.Generator | None,
) -> Tensor:
    a, b = (_weighted_rows(values, weight) for values in (R, images))
    if projection_dim is not None:
        checks.whole_number("projection_dim", projection_dim)
        projection = random_projection(a.shape[1], projection_dim, generator, a.device, a.dtype)
        a, b = F.normalize(a, dim=1) @ projection, F.normalize(b, dim=1) @ projection
    return hsic_of_kernels(_cosines(a), _cosines(b), estimator)


def _cosines(rows: Tensor) -> Tensor:
    """Kernel matrix of the rows divided by their norms: normalising B² products, not B·D values."""
    products = _Gram.apply(rows)
    inverse_norms = products.diagonal().clamp_min(torch.finfo(rows.dtype).tiny).rsqrt()
    return products * inverse_norms[:, None] * inverse_norms


class _Gram(torch.autograd.Function):
    """rows rowsᵀ, whose gradient (G + Gᵀ) rows is one product in place of two."""

    @staticmethod
    def forward(ctx, rows):
        ctx.save_for_backward(rows)
        return rows @ rows.T

    @staticmethod
    def backward(ctx, gradient):
        (rows,) = ctx.saved_tensors
        return (gradient + gradient.T) @ rows


class _RowVariance(torch.autograd.Function):
    """Unbiased variance of each row, in few passes: torch's own is slow on CPUs."""

    @staticmethod
    def forward(ctx, rows):
        ctx.save_for_backward(rows)
        centred = rows - rows.mean(dim=1, keepdim=True)
        squares = torch.bmm(centred[:, None, :], centred[:, :, None])
        return squares.flatten() / (rows.shape[1] - 1)

    @staticmethod
    def backward(ctx, gradient):
        (rows,) = ctx.saved_tensors
        scale = (2 / (rows.shape[1] - 1) * gradient)[:, None]
        return torch.addcmul(-scale * rows.mean(dim=1, keepdim=True), rows, scale)


def _weighted_rows(values: Tensor, weight: Tensor) -> Tensor:
    """values ∘ weight as rows (B, C·H·W), scaled so that squares neither underflow nor overflow.

    Only the direction of a row will count, so a constant factor changes neither the result nor
    its gradient; it goes into the weight, which has one channel. A row too small for its gradient
    1 / |row| to be a number counts as zero, and gets no gradient.
    """
    largest = values.detach().abs().amax(dim=(1, 2, 3)) * weight.detach().amax(dim=(1, 2, 3))
    smallest = 1e6 * torch.finfo(values.dtype).tiny
    factor = torch.where(largest > smallest, 1 / largest, 0)
    return (values * (weight * factor[:, None, None, None])).flatten(1)


def _unit_range(values: Tensor) -> Tensor:
    low, high = values.amin(), values.amax()
    return (values - low) / (high - low + 1e-10)


def _checked(R: Tensor, images: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
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
