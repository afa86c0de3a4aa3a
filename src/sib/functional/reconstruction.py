"""Reconstruction: a network's decision, decoded back into image space."""

import torch
from torch import Tensor

from sib.functional import checks
from sib.functional.label_kinds import KINDS
from sib.functional.precision import at_least_float32

COTANGENTS = ("probabilities", "logits", "margin")

# A VJP of 1e-6 lies below float16's normal range (6e-5), and float32 logits may come from a model
# in float16. A power of two scales without rounding. The cotangent of the probabilities is at most
# 1/4 per logit and vanishes where the network is certain. The others are of order 1, so a smaller
# scale is enough for them, and 2^12 would leave only a factor of 16 below float16's largest number.
SCALE = {"probabilities": 2.0**12, "logits": 2.0**6, "margin": 2.0**6}


def reconstruct(
    logits: Tensor,
    images: Tensor,
    create_graph: bool = True,
    *,
    cotangent: str = "probabilities",
    label_kind: str = "single",
) -> Tensor:
    """Vector-Jacobian product (VJP) of a classifier's output at its input.

    With x the images, z the logits and p = softmax(z), ``cotangent`` chooses between

    ``"probabilities"``: R = ∂/∂x ½ Σ_bk p_bk² = Jᵀp, with J = ∂p/∂x. It vanishes where p is uniform
    and where p is one-hot.

    ``"logits"``: R = ∂/∂x Σ_bk z_bk.

    ``"margin"``: R = ∂/∂x Σ_b log(p_bt / (1 − p_bt)), with t the class of the largest
    logit. It vanishes in neither case.

    Where an image has several labels, p = σ(z), and each label is a decision of its own between two
    outcomes. Then ``"probabilities"`` is R = ∂/∂x ½ Σ_bk (p_bk² + (1 − p_bk)²), and ``"margin"`` is
    R = ∂/∂x Σ_b −log Σ_k exp(−|z_bk|); `label_kinds.MultiLabel` derives both. A single logit z is
    the softmax of (−z/2, z/2): its probabilities are 1 − σ(z) and σ(z), and its R is that of one
    label.

    Batch norm in train mode makes the R of one image depend on the other images in its batch.

    Args:
        logits: (B, K), computed from ``images`` with gradients enabled.
        images: (B, C, H, W), a tensor that requires a gradient.
        create_graph: keep R in the graph, so that a loss computed from R can be differentiated.
        cotangent: ``"probabilities"`` (published), ``"logits"`` (the sum of the logits) or
            ``"margin"`` (the log-odds of the decision).
        label_kind: ``"single"``, one class of K, or ``"multi"``, any of K labels.

    Returns:
        R, shape (B, C, H, W), float32 for half-precision images, otherwise in their precision.

    Raises:
        ValueError: the shapes do not match, or ``logits`` do not depend on ``images``.

    Source: arXiv 2511.09239, reconstruction by VJP.

    Example:
        >>> import sib, torch
        >>> images = torch.randn(2, 3, 8, 8, requires_grad=True)
        >>> logits = images.mean(dim=(2, 3))
        >>> sib.functional.reconstruct(logits, images).shape
        torch.Size([2, 3, 8, 8])
    """
    check_arguments(logits, images, cotangent, label_kind)
    (R,) = vector_jacobian_products(logits, (images,), create_graph, cotangent, label_kind)
    return R


def vector_jacobian_products(
    logits: Tensor,
    inputs: tuple[Tensor, ...],
    create_graph: bool,
    cotangent: str,
    label_kind: str = "single",
) -> tuple[Tensor, ...]:
    """R at the images, and at layers between them and the logits, in one backward pass.

    Args:
        logits: (B, K).
        inputs: tensors that ``logits`` depend on, the images first.
        create_graph: as in `reconstruct`.
        cotangent: as in `reconstruct`.
        label_kind: as in `reconstruct`.

    Returns:
        One tensor per input, of the input's shape.

    Raises:
        ValueError: ``logits`` do not depend on one of the inputs.
    """
    output, scale = scaled_output(logits, cotangent, label_kind)
    return scaled_gradients(output, scale, inputs, create_graph)


def scaled_gradients(
    output: Tensor,
    scale: float,
    inputs: tuple[Tensor, ...],
    create_graph: bool,
    retain_graph: bool | None = None,
) -> tuple[Tensor, ...]:
    """The gradients of a scalar at several inputs, divided by its scale.

    Args:
        output: a scalar that was multiplied by the scale.
        scale: as of `scaled_output`.
        inputs: tensors that it depends on, the images first.
        create_graph: as in `reconstruct`.
        retain_graph: as in `torch.autograd.grad`.

    Raises:
        ValueError: the output does not depend on one of the inputs.
    """
    gradients = torch.autograd.grad(
        output, inputs, create_graph=create_graph, retain_graph=retain_graph, allow_unused=True
    )
    if gradients[0] is None:
        raise ValueError(
            "logits do not depend on images: set images.requires_grad_(True) before the forward "
            "pass, and pass the same tensor on"
        )
    if any(gradient is None for gradient in gradients):
        raise ValueError("logits do not depend on the layer's output")
    return tuple(at_least_float32(gradient) / scale for gradient in gradients)


def scaled_output(
    logits: Tensor, cotangent: str = "probabilities", label_kind: str = "single"
) -> tuple[Tensor, float]:
    """A scalar whose gradient at the images is R times a scale, and that scale.

    Args:
        logits: (B, K).
        cotangent: as in `reconstruct`.
        label_kind: as in `reconstruct`.
    """
    scale = 1.0 if logits.dtype == torch.float64 else SCALE[cotangent]
    logits = at_least_float32(logits)
    if cotangent == "logits":
        return scale * logits.sum(), scale
    kind = KINDS[label_kind]
    output = kind.half_squares if cotangent == "probabilities" else kind.margin
    return scale * output(kind.class_logits(logits)).sum(), scale


def check_arguments(
    logits: Tensor, images: Tensor, cotangent: str, label_kind: str = "single"
) -> None:
    """Raise ValueError unless R can be computed from these arguments."""
    checks.choice("label_kind", label_kind, KINDS)
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
