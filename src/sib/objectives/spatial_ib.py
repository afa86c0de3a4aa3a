"""What the two S-IB objectives share: a forward pass, its VJP, and guidance by annotation."""

import warnings
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from sib.double_backward import second_order
from sib.functional import checks
from sib.functional.mask import guided_mask
from sib.objectives.base import Objective, Parts, Terms
from sib.objectives.weighting import Weighting


class SpatialIBObjective(Objective):
    """An objective whose terms are made of the VJP of the logits at the images.

    It can be called in a loop of one's own, with logits that were computed inside
    `sib.second_order` (and `capture_features`, for an objective that looks inside the model).

    Args:
        weighting: as of `Objective`.
        guidance: γ in [0, 1], how far a known foreground replaces the one that was found; see
            `functional.mask.guided_mask`.

    Raises:
        ValueError: guidance is out of its range.
    """

    def __init__(self, weighting: Weighting | None = None, guidance: float = 1.0) -> None:
        if not isinstance(guidance, (int, float)) or not 0 <= guidance <= 1:
            raise ValueError(f"guidance must lie in [0, 1]; got {guidance!r}")
        super().__init__(weighting)
        self.guidance = guidance
        self.step = 0
        """Calls in train mode; used where `forward` is not given a step."""
        self._zero_is_checked = False

    def forward(
        self,
        logits: Tensor,
        images: Tensor,
        foreground: Tensor | None = None,
        cross_entropy: Tensor | None = None,
        *,
        step: int | None = None,
    ) -> Terms:
        """Terms of one batch.

        Args:
            logits: (B, K), computed from ``images`` inside `sib.second_order`.
            images: (B, C, H, W), a tensor that requires a gradient.
            foreground: (B, 1, H, W), bool or in [0, 1], where it is known; it guides the foreground
                that is found. An image whose foreground is zero everywhere is not annotated.
            cross_entropy: the scalar beside which the terms will stand, with its graph; needed in
                train mode where the terms are weighted by its gradient.
            step: number of the batch, from 0. It decides when weights are measured; a loop that
                resumes passes it. None: the objective counts its calls in train mode.

        Returns:
            `Terms`.

        Raises:
            ValueError: shapes that do not fit, images without gradient, a batch too small for
                HSIC, a window larger than the images, a step that cannot be differentiated twice;
                ``cross_entropy`` is missing where the terms are weighted by it.
        """
        step = self.step if step is None else step
        self.step = step + self.training
        due = self.weights_are_due(step)
        if cross_entropy is None and self.training and self.weighting.needs_cross_entropy:
            raise ValueError(
                "this objective weights its terms by cross-entropy's gradient: give "
                "cross_entropy=, or make it with balance=False and weights of your own"
            )
        parts = self.parts(logits, images, foreground)
        if due and cross_entropy is not None:
            self.update_weights([self.losses(cross_entropy, parts)], self.captured_parameters())
        return self.weighted_terms(parts)

    def forward_parts(
        self,
        model: nn.Module,
        images: Tensor,
        labels: Tensor,
        foreground: Tensor | None = None,
        *,
        create_graph: bool = True,
    ) -> tuple[Tensor, Parts]:
        """Run the model, and compute what the terms need; arguments as of `Objective`."""
        images = images.detach().requires_grad_()
        with self.capture_features(model, images), second_order() as scope:
            scope.images = images
            logits = model(images)
        parts = self.parts(logits, images, foreground, create_graph=create_graph)
        scope.images_done = True
        return logits, parts

    @abstractmethod
    def parts(
        self,
        logits: Tensor,
        images: Tensor,
        foreground: Tensor | None = None,
        *,
        create_graph: bool = True,
    ) -> Parts:
        """What the terms need of each image; arguments and errors as of `forward`."""

    @contextmanager
    def capture_features(self, model: nn.Module, images: Tensor) -> Iterator[None]:
        """Put around the forward pass; objectives that look inside the model keep what they need.

        Args:
            model: that gives the logits.
            images: (B, C, H, W), its input.
        """
        yield

    def recording(self, model: nn.Module, images: Tensor):
        """Old name of `capture_features`."""
        return self.capture_features(model, images)

    def captured_parameters(self) -> list[nn.Parameter]:
        """The parameters of the model that `capture_features` saw last.

        Raises:
            ValueError: it saw none.
        """
        raise ValueError(
            "weights are measured by the gradients of the model's parameters, which only the "
            "calibrated objective knows in a loop of one's own: use sib.Task"
        )

    def _apply_guidance(self, mask: Tensor, images: Tensor, foreground: Tensor | None) -> Tensor:
        """The mask, replaced by a known foreground as far as ``guidance`` says."""
        if foreground is None:
            return mask
        checks.foreground(foreground, images)
        return guided_mask(mask, foreground, self.guidance)

    def _warn_if_zero(self, R: Tensor) -> None:
        """Warn, for the first reconstruction, where it is zero."""
        if self._zero_is_checked:
            return
        self._zero_is_checked = True
        if not R.any():
            warnings.warn(
                "the reconstruction R is exactly zero, so S-IB has no effect: the model's output "
                "does not change with the images (a head that starts at zero, as torchvision's ViT "
                "has, must be initialised with random weights)",
                stacklevel=3,
            )
