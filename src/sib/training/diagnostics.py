"""What a step is described by, and whether the S-IB terms are at work in it."""

import torch
from torch import Tensor, nn

from sib.objective import SpatialIBTerms
from sib.task import TaskOutput


def describe_terms(terms: SpatialIBTerms) -> dict[str, Tensor]:
    """Scalars that describe R and M of one batch, kept on the device.

    Returns:
        ``reconstruction_scale`` mean |R|; ``mask_area`` share of pixels with M > 0.5;
        ``mask_softness`` share with 0.1 < M < 0.9.
    """
    mask = terms.mask.detach()
    return {
        "reconstruction_scale": terms.reconstruction.detach().abs().mean(),
        "mask_area": (mask > 0.5).float().mean(),
        "mask_softness": ((mask > 0.1) & (mask < 0.9)).float().mean(),
    }


def describe_step(out: TaskOutput, labels: Tensor) -> dict[str, Tensor]:
    """Losses, accuracy and, for S-IB, the terms and what `describe_terms` says of them."""
    values = {
        "loss": out.loss,
        "cross_entropy": out.cross_entropy,
        "accuracy": (out.logits.argmax(dim=1) == labels).float().mean(),
    }
    if out.terms is None:
        return values
    terms = {"foreground": out.terms.foreground, "background": out.terms.background}
    return values | terms | describe_terms(out.terms)


def gradient_ratio(out: TaskOutput, model: nn.Module) -> float:
    """Norm of the S-IB terms' gradient over that of cross-entropy's, over all parameters.

    The graph is kept, so that the step itself can follow. Costs about one more backward pass.

    Raises:
        ValueError: the output has no S-IB terms.
    """
    if out.terms is None:
        raise ValueError("out must come from a task with S-IB terms; out.terms is None")
    parameters = [p for p in model.parameters() if p.requires_grad]
    norms = [_norm(loss, parameters) for loss in (out.terms.loss, out.cross_entropy)]
    return (norms[0] / norms[1]).item()


def _norm(loss: Tensor, parameters: list[nn.Parameter]) -> Tensor:
    gradients = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    norms = [gradient.float().norm() for gradient in gradients if gradient is not None]
    return torch.stack(norms).norm()
