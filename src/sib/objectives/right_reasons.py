"""Right for the right reasons (Ross et al. 2017), which needs annotation."""

import torch
from torch import Tensor, nn

from sib.double_backward import second_order
from sib.objectives.rival import Rival, annotated


class RightReasonsTask(Rival):
    """No gradient of the decision where the annotation says that there is no reason for one.

    loss = CE + λ/B Σ_b Σ_d (A_bd ∂/∂x_bd Σ_k log p_bk)², with A = 1 − F outside of the foreground F
    of an annotated image and A = 0 on others. The paper sums over the batch; the mean is taken
    here, so that λ does not depend on its size, and weight decay is the optimiser's.

    Args:
        model: classifier (B, C, H, W) → (B, K), differentiable twice.
        weight: λ, at least 0; the paper sets it so that both terms are of one order.
        validate: as of `SpatialIBTask`.

    Raises:
        ValueError: an argument is out of its range.

    Source: Ross, Hughes and Doshi-Velez, IJCAI 2017 (arXiv 1703.03717), equation 1.
    """

    name = "right_reasons"
    needs_foreground = True

    def __init__(self, model: nn.Module, weight: float = 1.0, *, validate: bool = True) -> None:
        super().__init__(model, weight, validate=validate)

    def logits_and_term(
        self, images: Tensor, labels: Tensor, foreground: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Logits, and the squared norm of the masked gradient of each image, (B,)."""
        assert foreground is not None
        images = images.requires_grad_()
        with second_order() as scope:
            scope.images = images
            raw = self.model(images)
        logits = self.check(raw, labels)
        with torch.autocast(images.device.type, enabled=False):
            output = logits.log_softmax(dim=1).sum()
            (gradient,) = torch.autograd.grad(output, images, create_graph=True)
            scope.images_done = True
            wrong = (1 - foreground.to(gradient.dtype)) * annotated(foreground)[:, None, None, None]
            return raw, (wrong * gradient).square().sum(dim=(1, 2, 3))
