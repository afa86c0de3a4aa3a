"""What both S-IB objectives share: a forward pass, its VJP, and guidance by annotation."""

import warnings
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from torch import Tensor, nn

from sib.double_backward import second_order
from sib.functional import checks
from sib.functional.mask import guided_mask
from sib.objectives.base import Objective
from sib.objectives.parts import Parts, Terms
from sib.objectives.weighting import Weighting


class SpatialIBObjective(Objective):
    """An objective whose terms are computed from the VJP of the logits at the images.

    You can call it in your own loop, with logits computed inside `sib.second_order` (and inside
    `capture_features`, for an objective that looks inside the model).

    If its terms are weighted by gradients, an objective keeps the measured weights β and the number
    of the next step in ``step``. Both belong to one model, so each model needs its own objective.
    Call ``objective.eval()`` while you evaluate: in eval mode, a call neither measures nor counts.
    β is in the ``state_dict``, but ``step`` is not: a loop that resumes passes ``step=``.

    Args:
        weighting: as in `Objective`.
        guidance: γ in [0, 1], how far an annotated foreground replaces the one that was found; see
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
        """Number of the next step, used if `forward` is not given one."""
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
            foreground: (B, 1, H, W), bool or in [0, 1], if it is known; it guides the foreground
                that is found. An image whose foreground is zero everywhere is not annotated.
            cross_entropy: the scalar that the terms will be added to, with its graph. Required in
                train mode if the terms are weighted by its gradient.
            step: number of the step, from 0. It decides when weights are measured. None: one more
                than in the last call that succeeded in train mode, from 0.

        Returns:
            `Terms`.

        Raises:
            ValueError: the shapes do not match, the images do not require a gradient, the batch is
                too small for HSIC, the window is larger than the images, an operation of the model
                cannot be differentiated twice, or ``cross_entropy`` is required and missing.
        """
        step = self.step if step is None else step
        due = self.weights_are_due(step)
        if cross_entropy is None and self.training and self.weighting.needs_cross_entropy:
            raise ValueError(
                "this objective weights its terms by cross-entropy's gradient: give "
                "cross_entropy=, or construct it with balance=False and your own weights"
            )
        parts = self.parts(logits, images, foreground)
        if due and cross_entropy is not None:
            self.update_weights([self.losses(cross_entropy, parts)], self.captured_parameters())
        terms = self.weighted_terms(parts)
        self.step = step + self.training
        return terms

    if TYPE_CHECKING:  # what a call takes and returns, which nn.Module does not tell
        __call__ = forward

    def forward_parts(
        self,
        model: nn.Module,
        images: Tensor,
        labels: Tensor,
        foreground: Tensor | None = None,
        *,
        create_graph: bool = True,
    ) -> tuple[Tensor, Parts]:
        """Run the model, and compute what the terms need; arguments as in `Objective`."""
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
        """What the terms need from each image; arguments and errors as in `forward`."""

    @contextmanager
    def capture_features(self, model: nn.Module, images: Tensor) -> Iterator[None]:
        """Keep features of the forward pass inside, for an objective that looks into the model.

        Args:
            model: the model that computes the logits.
            images: (B, C, H, W), its input.
        """
        yield

    def recording(self, model: nn.Module, images: Tensor) -> AbstractContextManager[None]:
        """Old name of `capture_features`."""
        return self.capture_features(model, images)

    def captured_parameters(self) -> list[nn.Parameter]:
        """The parameters of the model that `capture_features` saw last.

        Raises:
            ValueError: it has not seen a model.
        """
        raise ValueError(
            "weights are measured from the gradients of the model's parameters, which only the "
            "calibrated objective knows in your own loop: use sib.Task"
        )

    def _apply_guidance(self, mask: Tensor, images: Tensor, foreground: Tensor | None) -> Tensor:
        """The mask, blended with an annotated foreground as ``guidance`` says."""
        if foreground is None:
            return mask
        checks.foreground(foreground, images)
        return guided_mask(mask, foreground, self.guidance)

    def _warn_if_zero(self, R: Tensor) -> None:
        """Warn if the first reconstruction is zero."""
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
