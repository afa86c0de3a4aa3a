"""Guidance by the energy pointing game (Rao et al. 2023), which needs annotation."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import ClassVar

import torch
from torch import Tensor, nn

from sib.double_backward import second_order
from sib.functional import checks
from sib.functional.precision import at_least_float32
from sib.functional.shares import background_share, divide_by_max, downsample
from sib.models.features import FeatureCapture
from sib.objectives.parts import Parts
from sib.objectives.per_image import PerImageObjective, annotated, hard_labels
from sib.objectives.weighting import Weighting

PLACES = ("final", "input")


class EnergyLoss(PerImageObjective):
    """Keep the positive attribution of an image's class inside its annotation.

    loss = CE + λ/B Σ_b (1 − Σ_p F_p A⁺_p / Σ_p A⁺_p), summed over the annotated images. F is the
    annotation, averaged over the area of each place of the layer. A⁺ is the positive part of
    Σ_c V_c ∂z_y/∂V_c: input × gradient of the class's logit z_y at the layer's output V. The
    paper's loss is −energy; the constant only affects the values in the log. An image without
    positive attribution gives no gradient. With several labels an image, z_y is the sum of
    the logits of its labels, and F the union of their foregrounds.

    Args:
        weight: λ, at least 0.
        at: ``"final"``, the last stage (better in the paper), or ``"input"``.
        layer: name of the last stage's module; None for the architecture's own.
        reshape: output of ``layer`` → (B, C, h, w), if it is not a feature map.
        weighting: as in `Objective`.

    Raises:
        ValueError: an argument is out of its range. In the step: the architecture's last stage is
            unknown and ``layer`` is not given.

    Source: Rao, Böhle, Parchami-Araghi and Schiele, ICCV 2023 (arXiv 2303.11932), energy loss.

    Example:
        >>> import sib, torch
        >>> task = sib.Task(sib.models.SmallResNet(3), sib.objectives.EnergyLoss())
        >>> foreground = torch.zeros(2, 1, 32, 32, dtype=torch.bool)
        >>> foreground[..., 8:24, 8:24] = True
        >>> out = task(torch.randn(2, 3, 32, 32), torch.tensor([0, 2]), foreground)
        >>> list(out.weighted_terms)
        ['energy']
    """

    names: ClassVar = ("energy",)
    needs_foreground = True

    def __init__(
        self,
        weight: float = 1.0,
        at: str = "final",
        *,
        layer: str | None = None,
        reshape: Callable[[Tensor], Tensor] | None = None,
        weighting: Weighting | None = None,
    ) -> None:
        super().__init__(weight, weighting)
        checks.choice("at", at, PLACES)
        self.at, self._layer, self._reshape = at, layer, reshape
        self._features = FeatureCapture()

    def forward_parts(
        self,
        model: nn.Module,
        images: Tensor,
        labels: Tensor,
        foreground: Tensor | None = None,
        *,
        create_graph: bool = True,
    ) -> tuple[Tensor, Parts]:
        """Logits, and the share of positive attribution outside the annotation, (B,)."""
        assert foreground is not None  # the task has checked this
        labels = hard_labels(labels, "the energy loss", self.kind)
        images = images.detach().requires_grad_()
        with second_order() as scope, self._capture(model, images):
            scope.images = images
            raw = model(images)
        self.check_twice_differentiable(raw)
        logits = self.kind.class_logits(at_least_float32(raw))
        layer = images if self.at == "input" else self._last_stage()
        with torch.autocast(images.device.type, enabled=False):
            chosen = self.kind.true_score(logits, labels).sum()
            (gradient,) = torch.autograd.grad(chosen, layer, create_graph=create_graph)
            scope.images_done = True
            values, gradient = (at_least_float32(self._as_map(v)) for v in (layer, gradient))
            inside = downsample(foreground.to(values.dtype), values)
            outside = background_share(_positive_attribution(values, gradient), inside)
            return raw, self._parts(outside * annotated(foreground))

    def _capture(self, model: nn.Module, images: Tensor) -> AbstractContextManager[None]:
        if self.at == "input":
            return nullcontext()
        return self._features.capture(model, images, self._layer, self._reshape)

    def _last_stage(self) -> Tensor:
        found = self._features.pop()
        if not found:
            raise ValueError(
                "the last stage has one place, so its energy never changes: give layer= a "
                "finer one, larger images, or at='input'"
            )
        return found[0]

    def _as_map(self, values: Tensor) -> Tensor:
        return values if self.at == "input" else self._features.as_map(values)


def _positive_attribution(values: Tensor, gradient: Tensor) -> Tensor:
    """A⁺ = relu(Σ_c V_c G_c), up to a constant factor, (B, 1, h, w)."""
    values, gradient = divide_by_max(values), divide_by_max(gradient)
    return (values * gradient).sum(dim=1, keepdim=True).relu()
