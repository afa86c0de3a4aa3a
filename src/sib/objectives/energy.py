"""Guidance by the energy pointing game (Rao et al. 2023), which needs annotation."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from sib.double_backward import second_order
from sib.functional import checks
from sib.functional.precision import at_least_float32
from sib.functional.shares import background_share, of_order_one, pooled
from sib.models.features import Features
from sib.objectives.rival import Rival, annotated

PLACES = ("final", "input")


class EnergyTask(Rival):
    """The positive attribution of an image's class shall lie inside its annotation.

    loss = CE + λ/B Σ_b (1 − Σ_p F_p A⁺_p / Σ_p A⁺_p) over the annotated images, A⁺ the positive
    part of Σ_c V_c ∂z_y/∂V_c, input × gradient of the class's logit at the layer V. The paper's
    loss is −energy; the constant changes nothing but the look of the log. F is averaged over the
    area of each place of the layer. An image without positive attribution gives no gradient.

    Args:
        model: classifier (B, C, H, W) → (B, K), differentiable twice.
        weight: λ, at least 0.
        at: ``"final"``, the last stage (the paper's better one), or ``"input"``.
        layer: the last stage, a module's name; None for the architecture's own.
        reshape: output of ``layer`` → (B, C, h, w), where it is no feature map.
        validate: as of `SpatialIBTask`.

    Raises:
        ValueError: an argument is out of its range; in the step, an architecture without a known
            last stage where ``layer`` is not given.

    Source: Rao, Böhle, Parchami-Araghi and Schiele, ICCV 2023 (arXiv 2303.11932), energy loss.
    """

    name = "energy"
    needs_foreground = True

    def __init__(
        self,
        model: nn.Module,
        weight: float = 1.0,
        at: str = "final",
        *,
        layer: str | None = None,
        reshape: Callable[[Tensor], Tensor] | None = None,
        validate: bool = True,
    ) -> None:
        super().__init__(model, weight, validate=validate)
        checks.choice("at", at, PLACES)
        self.at, self._layer, self._reshape = at, layer, reshape
        self._features = Features()

    def logits_and_term(
        self, images: Tensor, labels: Tensor, foreground: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Logits, and the share of positive attribution outside of the annotation, (B,)."""
        assert foreground is not None
        images = images.requires_grad_()
        with second_order() as scope, self._recording(images):
            scope.images = images
            raw = self.model(images)
        logits = self.check(raw, labels)
        layer = images if self.at == "input" else self._features.take()[0]
        with torch.autocast(images.device.type, enabled=False):
            chosen = logits.gather(1, labels[:, None]).sum()
            (gradient,) = torch.autograd.grad(chosen, layer, create_graph=True)
            scope.images_done = True
            values, gradient = (at_least_float32(self._as_map(v)) for v in (layer, gradient))
            inside = pooled(foreground.to(values.dtype), values)
            outside = background_share(_positive_attribution(values, gradient), inside)
            return raw, outside * annotated(foreground)

    def _recording(self, images: Tensor) -> AbstractContextManager[None]:
        if self.at == "input":
            return nullcontext()
        return self._features.recorded(self.model, images, self._layer, self._reshape)

    def _as_map(self, values: Tensor) -> Tensor:
        return values if self.at == "input" else self._features.as_map(values)


def _positive_attribution(values: Tensor, gradient: Tensor) -> Tensor:
    """A⁺ = relu(Σ_c V_c G_c), up to a constant factor, (B, 1, h, w)."""
    values, gradient = of_order_one(values), of_order_one(gradient)
    return (values * gradient).sum(dim=1, keepdim=True).relu()
