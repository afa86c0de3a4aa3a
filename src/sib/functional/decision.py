"""The reconstruction up to its scale, for maps and their localisation."""

import torch
from torch import Tensor

from sib.functional.label_kinds import SINGLE, LabelKind


def decision_vjp(
    logits: Tensor, images: Tensor, *, retain_graph: bool = False, kind: LabelKind = SINGLE
) -> Tensor:
    """R of each image up to its scale, for maps and their localisation.

    The cotangent, p ∘ (p − ‖p‖²) for one class of many, is computed in float64 and divided by its
    largest entry. In float32 the p of a confident network is exactly 1, and that class would
    contribute nothing to R.

    Args:
        logits: (B, K), from a model in evaluation mode, so that images do not depend on each other.
        images: (B, C, H, W).
        retain_graph: keep the graph of the logits for a further backward pass.
        kind: what the logits mean.

    Returns:
        (B, C, H, W); zero where the float64 probabilities are one-hot or uniform.
    """
    logits = kind.class_logits(logits)
    cotangent = kind.half_squares_cotangent(logits.detach())
    largest = cotangent.abs().amax(dim=1, keepdim=True)
    cotangent = torch.where(largest > 0, cotangent / largest, 0).to(logits.dtype)
    return torch.autograd.grad(logits, images, cotangent, retain_graph=retain_graph)[0]
