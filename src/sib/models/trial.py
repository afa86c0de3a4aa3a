"""What a network of the user's own does with its first images, beside the shape of its output."""

import torch
from torch import Tensor, nn

from sib.models.outputs import logits_in

SAME = 1e-3
"""Relative difference below which two outputs count as equal."""


def fault_of(model: nn.Module, images: Tensor) -> str | None:
    """What makes the logits useless for training and explanations, in words; None for nothing.

    Args:
        model: classifier in evaluation mode.
        images: (2, C, H, W) that it takes.
    """
    try:
        return _missing_gradient(model, images)
    except Exception as error:  # whatever the user's own code raises
        return f"its gradient cannot be computed: {type(error).__name__}: {error}"


def _missing_gradient(model: nn.Module, images: Tensor) -> str | None:
    with torch.enable_grad():
        images = images.clone().requires_grad_()
        logits = logits_in(model(images))
        total = logits.sum()
    if not logits.is_floating_point():
        return f"its logits must be real numbers; got {logits.dtype}".replace("torch.", "")
    if not logits.requires_grad and any(p.requires_grad for p in model.parameters()):
        return (
            "its output has no gradient: it is detached, computed without gradients, or a choice "
            "such as arg max"
        )
    if not logits.requires_grad:
        return None
    (gradient,) = torch.autograd.grad(total, images, allow_unused=True)
    if gradient is None:
        return (
            "its output has no gradient with respect to the images, which every explanation needs: "
            "they are detached inside it, or go through NumPy"
        )
    return None


def doubts_about(model: nn.Module, images: Tensor) -> str | None:
    """What makes its figures doubtful in evaluation mode, in words; None for nothing.

    An output may change from one pass to the next, or with the other images of a batch.

    Args:
        model: classifier (B, C, H, W) → (B, K) in evaluation mode.
        images: (2, C, H, W) that it takes, which differ.
    """
    first, second = model(images), model(images)
    if not _are_same(first, second):
        return (
            "its output changes from one pass to the next in evaluation mode, so all figures are "
            "random to that extent"
        )
    if not _are_same(first[1], model(images[1:].repeat(2, 1, 1, 1))[1]):
        return (
            "an image's output changes with the other images of its batch in evaluation mode, so "
            "all figures depend on the batches"
        )
    return None


def _are_same(first: Tensor, second: Tensor) -> bool:
    return torch.allclose(first, second, rtol=SAME, atol=SAME * float(first.abs().max()))
