"""What a step is described by, and whether the S-IB terms are at work in it."""

import torch
from torch import Tensor, nn

from sib.objective import SpatialIBTerms
from sib.task import TaskOutput
from sib.training import distributed


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


class GradientRatio:
    """Norm of the S-IB terms' gradient over that of cross-entropy's, over all parameters.

    Costs about one more backward pass of the outputs it is given.

    Args:
        model: whose parameters they are.
    """

    def __init__(self, model: nn.Module) -> None:
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.sums: list[Tensor] = []

    def add(self, out: TaskOutput) -> None:
        """Add the gradients of one micro-batch; the graph is kept, so that the step can follow."""
        own = out.loss - out.cross_entropy if out.terms is None else out.terms.loss
        found = [self._gradient(loss) for loss in (own, out.cross_entropy)]
        pairs = zip(self.sums, found, strict=True) if self.sums else None
        self.sums = found if pairs is None else [a + b for a, b in pairs]

    def value(self) -> float:
        """Of the gradients added so far, in all processes together."""
        own, cross_entropy = (distributed.total(each).norm() for each in self.sums)
        return (own / cross_entropy).item()

    def _gradient(self, loss: Tensor) -> Tensor:
        gradients = torch.autograd.grad(
            loss, self.parameters, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        return torch.cat([gradient.float().flatten() for gradient in gradients])
