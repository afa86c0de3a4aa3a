"""Hilbert-Schmidt independence criterion (HSIC) with a linear kernel."""

import torch
from torch import Tensor

from sib.functional import checks
from sib.functional.precision import at_least_float32

# The smallest batch that each estimator needs.
ESTIMATORS = {"biased": 2, "unbiased": 4}


def hsic(z1: Tensor, z2: Tensor, estimator: str = "biased") -> Tensor:
    """Hilbert-Schmidt independence criterion (HSIC) between two views of the same B samples.

    With K = z1 z1ᵀ, L = z2 z2ᵀ and H = I − 11ᵀ/B:

    ``"biased"``: tr(K H L H) / (B − 1)². Independent rows of norm 1 in many dimensions give about
    1 / (B − 1), not 0. (The published scripts use this one and call it unbiased.)

    ``"unbiased"``: [tr(K̃L̃) + 1ᵀK̃1 · 1ᵀL̃1 / ((B−1)(B−2)) − 2/(B−2) · 1ᵀK̃L̃1] / (B(B−3)), with K̃
    and L̃ the kernels with zero diagonals. It can be negative.

    HSIC does not change with the sign of z1 or z2, or with a rotation or permutation of their
    columns.

    Args:
        z1: (B, D1), one row per sample.
        z2: (B, D2).
        estimator: ``"biased"`` (B ≥ 2) or ``"unbiased"`` (B ≥ 4).

    Returns:
        A scalar.

    Raises:
        ValueError: the rows do not pair up, or the batch is too small for the estimator.

    Source: Gretton et al. 2005 (biased); Song et al. 2012, JMLR 13, eq. 5 (unbiased).

    Example:
        >>> import sib, torch
        >>> z = torch.randn(16, 8)
        >>> bool(sib.functional.hsic(z, z) > sib.functional.hsic(z, torch.randn(16, 8)))
        True
    """
    for name, rows in (("z1", z1), ("z2", z2)):
        checks.floating(name, rows)
        if rows.ndim != 2:
            raise ValueError(f"{name} must have shape (B, D); got {checks.shape(rows)}")
    if z1.shape[0] != z2.shape[0]:
        raise ValueError(
            f"z1 and z2 must have the same number of rows; got {z1.shape[0]} and {z2.shape[0]}"
        )
    dtype = torch.promote_types(at_least_float32(z1).dtype, at_least_float32(z2).dtype)
    K, L = (rows.to(dtype) @ rows.to(dtype).T for rows in (z1, z2))
    # HSIC is linear in K and in L; their products and sums must not overflow before it does
    scale_k, scale_l = _scale(K), _scale(L)
    return hsic_of_kernels(K / scale_k, L / scale_l, estimator) * scale_k * scale_l


def _scale(K: Tensor) -> Tensor:
    """The largest entry, 1 where all are zero."""
    largest = K.detach().abs().amax()
    return torch.where(largest > 0, largest, 1)


def hsic_of_kernels(K: Tensor, L: Tensor, estimator: str = "biased") -> Tensor:
    """HSIC from the kernel matrices (B, B); see :func:`hsic`."""
    checks.choice("estimator", estimator, ESTIMATORS)
    batch, minimum = K.shape[0], ESTIMATORS[estimator]
    if batch < minimum:
        raise ValueError(
            f"the {estimator} HSIC needs a batch size of at least {minimum}; got {batch}"
        )
    return _biased(K, L) if estimator == "biased" else _unbiased(K, L)


def _biased(K: Tensor, L: Tensor) -> Tensor:
    return (_centred(K) * _centred(L)).sum() / (K.shape[0] - 1) ** 2


def _centred(K: Tensor) -> Tensor:
    return K - K.mean(dim=0, keepdim=True) - K.mean(dim=1, keepdim=True) + K.mean()


def _unbiased(K: Tensor, L: Tensor) -> Tensor:
    B = K.shape[0]
    outside = 1 - torch.eye(B, dtype=K.dtype, device=K.device)
    K, L = K * outside, L * outside
    products = (K * L).sum()
    sums = K.sum() * L.sum() / ((B - 1) * (B - 2))
    crossed = 2 / (B - 2) * (K.sum(dim=0) @ L.sum(dim=0))
    return (products + sums - crossed) / (B * (B - 3))


def random_projection(
    dim: int,
    size: int,
    generator: torch.Generator | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Matrix of independent standard Gaussians, for Johnson-Lindenstrauss projections.

    Args:
        dim: rows, the dimension to be reduced.
        size: columns, the dimension to reach.
        generator: source of randomness on any device; None for torch's default generator.
        device: device of the result. The matrix is drawn on the generator's device, so that one
            seed gives the same matrix everywhere.
        dtype: floating-point type; None for torch's default.

    Returns:
        (dim, size).

    Raises:
        ValueError: ``dim`` or ``size`` is below 1.

    Example:
        >>> import sib
        >>> sib.functional.random_projection(1000, 16).shape
        torch.Size([1000, 16])
    """
    for name, value in (("dim", dim), ("size", size)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1; got {value}")
    source = generator.device if generator is not None else device
    return torch.randn(dim, size, generator=generator, device=source, dtype=dtype).to(device)
