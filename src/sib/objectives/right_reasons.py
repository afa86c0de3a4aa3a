"""Right for the right reasons (Ross et al. 2017), which needs annotation."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from sib.double_backward import second_order
from sib.functional.precision import at_least_float32
from sib.objectives.parts import Parts
from sib.objectives.per_image import PerImageObjective, annotated


class RightReasons(PerImageObjective):
    """Penalise the decision's gradient outside the annotated foreground.

    loss = CE + λ/B Σ_b Σ_d (A_bd ∂/∂x_bd Σ_k log p_bk)², with A = 1 − F for an image with the
    annotated foreground F, and A = 0 for an image without one. The paper sums over the batch. Here
    the mean is taken, so that λ does not depend on the batch size. Weight decay is left to the
    optimiser. With several labels an image, the sum is over both outcomes of each label,
    log p_bk + log(1 − p_bk).

    Args:
        weight: λ, at least 0; the paper chooses it so that both terms are of similar size.
        weighting: as in `Objective`.

    Raises:
        ValueError: an argument is out of its range.

    Source: Ross, Hughes and Doshi-Velez, IJCAI 2017 (arXiv 1703.03717), equation 1.

    Example:
        >>> import sib, torch
        >>> task = sib.Task(sib.models.SmallResNet(3), sib.objectives.RightReasons())
        >>> foreground = torch.zeros(2, 1, 32, 32, dtype=torch.bool)
        >>> foreground[..., 8:24, 8:24] = True
        >>> out = task(torch.randn(2, 3, 32, 32), torch.tensor([0, 2]), foreground)
        >>> list(out.weighted_terms)
        ['right_reasons']
    """

    names: ClassVar = ("right_reasons",)
    needs_foreground = True

    def forward_parts(
        self,
        model: nn.Module,
        images: Tensor,
        labels: Tensor,
        foreground: Tensor | None = None,
        *,
        create_graph: bool = True,
    ) -> tuple[Tensor, Parts]:
        """Logits, and the squared norm of the masked gradient of each image, (B,)."""
        assert foreground is not None  # the task has checked this
        images = images.detach().requires_grad_()
        with second_order() as scope:
            scope.images = images
            logits = model(images)
        self.check_twice_differentiable(logits)
        with torch.autocast(images.device.type, enabled=False):
            classes = self.kind.class_logits(at_least_float32(logits))
            output = self.kind.log_probabilities(classes).sum()
            (gradient,) = torch.autograd.grad(output, images, create_graph=create_graph)
            scope.images_done = True
            wrong = (1 - foreground.to(gradient.dtype)) * annotated(foreground)[:, None, None, None]
            return logits, self._parts((wrong * gradient).square().sum(dim=(1, 2, 3)))
