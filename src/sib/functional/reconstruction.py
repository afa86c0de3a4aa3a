"""Reconstruction: the decision of a network, decoded back into image space."""

import torch
from torch import Tensor

from sib.functional import checks
from sib.functional.precision import at_least_float32

COTANGENTS = ("probabilities", "logits")

# A VJP of 1e-6 lies under float16's normal range (6e-5), and float32 logits may come from a model
# in float16. A power of two scales without rounding; 2^12 keeps the cotangent, at most 1/4 per
# logit, far below float16's largest number.
SCALE = 2.0**12


def reconstruct(
    logits: Tensor, images: Tensor, create_graph: bool = True, *, cotangent: str = "probabilities"
) -> Tensor:
    """Vector-Jacobian product (VJP) of a classifier's output at its input.

    R = ∂/∂x ½ Σ_bk p_bk² = Jᵀp, with p = softmax(logits) and J = ∂p/∂x. With
    ``cotangent="logits"``: R = ∂/∂x Σ_bk z_bk. R vanishes where p is uniform and where p is
    one-hot. Batch norm in train mode makes R of one image depend on the others of its batch.

    Args:
        logits: (B, K), computed from ``images`` with gradients enabled.
        images: (B, C, H, W), a tensor that requires a gradient.
        create_graph: keep R in the graph, so that a loss made of R can be differentiated again.
        cotangent: ``"probabilities"`` (published) or ``"logits"`` (the sum of the logits).

    Returns:
        R, shape (B, C, H, W), float32 for half-precision images, else their own precision.

    Raises:
        ValueError: the shapes do not fit, or ``logits`` do not depend on ``images``.

    Source: arXiv 2511.09239, reconstruction by VJP.
    """
    _check(logits, images, cotangent)
    output, scale = scaled_output(logits, cotangent)
    try:
        (gradient,) = torch.autograd.grad(output, images, create_graph=create_graph)
    except RuntimeError as error:
        if "appears to not have been used in the graph" not in str(error):
            raise
        raise ValueError(
            "logits do not depend on images: set images.requires_grad_(True) before the forward "
            "pass, and pass the same tensor on"
        ) from None
    return at_least_float32(gradient) / scale


def scaled_output(logits: Tensor, cotangent: str = "probabilities") -> tuple[Tensor, float]:
    """The scalar whose gradient at the images is R, times a scale, and that scale.

    Args:
        logits: (B, K).
        cotangent: as of `reconstruct`.
    """
    scale = 1.0 if logits.dtype == torch.float64 else SCALE
    logits = at_least_float32(logits)
    if cotangent == "probabilities":
        return scale * 0.5 * logits.softmax(dim=1).square().sum(), scale
    return scale * logits.sum(), scale


def _check(logits: Tensor, images: Tensor, cotangent: str) -> None:
    checks.choice("cotangent", cotangent, COTANGENTS)
    checks.image_batch("images", images)
    checks.floating("logits", logits)
    if logits.ndim != 2 or logits.shape[0] != images.shape[0]:
        raise ValueError(
            f"logits must have shape (B, K) with the batch of images, B = {images.shape[0]}; "
            f"got {checks.shape(logits)}"
        )
    if not images.requires_grad:
        raise ValueError(
            "images must require a gradient: call images.requires_grad_(True) before the forward "
            "pass that gives the logits"
        )
    if not logits.requires_grad:
        raise ValueError("logits must be computed with gradients enabled, outside torch.no_grad()")
