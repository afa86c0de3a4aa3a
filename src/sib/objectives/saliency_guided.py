"""Saliency-guided training (Ismail et al. 2021), which needs no annotation."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from sib.functional.precision import at_least_float32
from sib.objectives.parts import Parts
from sib.objectives.per_image import PerImageObjective, hard_labels
from sib.objectives.weighting import Weighting


class SaliencyGuided(PerImageObjective):
    """Pixels that the gradient calls unimportant should not affect the output.

    loss = CE(f(x), y) + λ KL(softmax f(x) ‖ softmax f(x̃)), with x̃ a copy of the image in which
    unimportant pixels are replaced. These are the share k of the pixels with the smallest
    |∂f_y/∂x|, averaged over channels. The new values are drawn uniformly between the smallest and
    the largest value of their channel. The choice of pixels is not differentiated. Both passes
    train the network, including batch norm. The authors' MNIST setting is k = 0.5, λ = 1. With
    several labels an image, f_y is the sum of the logits of its labels, and KL the sum over the
    labels of that between present and absent.

    Args:
        weight: λ, at least 0.
        masked_share: k, in (0, 1).
        weighting: as in `Objective`.

    Raises:
        ValueError: an argument is out of its range.

    Source: Ismail, Corrada Bravo and Feizi, NeurIPS 2021 (arXiv 2111.14338), algorithm 1.

    Example:
        >>> import sib, torch
        >>> task = sib.Task(sib.models.SmallResNet(3), sib.objectives.SaliencyGuided())
        >>> out = task(torch.randn(2, 3, 32, 32), torch.tensor([0, 2]))
        >>> list(out.weighted_terms)
        ['saliency_guided']
    """

    names: ClassVar = ("saliency_guided",)
    differentiates_twice = False

    def __init__(
        self,
        weight: float = 1.0,
        masked_share: float = 0.5,
        *,
        weighting: Weighting | None = None,
    ) -> None:
        super().__init__(weight, weighting)
        if not isinstance(masked_share, (int, float)) or not 0 < masked_share < 1:
            raise ValueError(
                f"masked_share must lie between 0 and 1, both excluded; got {masked_share!r}"
            )
        self.masked_share = masked_share

    def forward_parts(
        self,
        model: nn.Module,
        images: Tensor,
        labels: Tensor,
        foreground: Tensor | None = None,
        *,
        create_graph: bool = True,
    ) -> tuple[Tensor, Parts]:
        """Logits of the images, and KL of each to its masked version, (B,)."""
        labels = hard_labels(labels, "saliency-guided training", self.kind)
        images = images.detach().requires_grad_()
        raw = model(images)
        logits = self.kind.class_logits(at_least_float32(raw))
        chosen = self.kind.true_score(logits, labels).sum()
        (gradient,) = torch.autograd.grad(chosen, images, retain_graph=True)
        masked = masked_images(images.detach(), gradient, self.masked_share)
        other = self.kind.class_logits(at_least_float32(model(masked)))
        return raw, self._parts(self.kind.divergence(logits, other))


def masked_images(images: Tensor, gradient: Tensor, share: float) -> Tensor:
    """The images with their least important pixels replaced by random ones.

    Args:
        images: (B, C, H, W).
        gradient: (B, C, H, W), the gradient of the target's logit.
        share: share of the pixels that is replaced, rounded down to whole pixels.

    Returns:
        (B, C, H, W).
    """
    importance = gradient.abs().mean(dim=1).flatten(1)
    count = int(share * importance.shape[1])
    least = importance.argsort(dim=1)[:, :count]
    replaced = torch.zeros_like(importance, dtype=torch.bool).scatter_(1, least, True)
    low, high = images.amin(dim=(2, 3), keepdim=True), images.amax(dim=(2, 3), keepdim=True)
    drawn = low + (high - low) * torch.rand_like(images)
    return torch.where(replaced.view(-1, 1, *images.shape[2:]), drawn, images)
