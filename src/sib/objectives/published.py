"""The Spatial Information Bottleneck objective as a module."""

import warnings
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sib.distributed.batch_gather import SCOPES, joining
from sib.double_backward import check_graph
from sib.functional import checks, foreground_mask, reconstruct
from sib.functional.dependence import ESTIMATORS
from sib.functional.losses import ALIGNMENTS, check_terms
from sib.functional.mask import KINDS, guided_mask
from sib.functional.parts import (
    Dependence,
    ImageParts,
    alignment,
    alignment_parts,
    background,
    background_parts,
)
from sib.functional.reconstruction import COTANGENTS

EVERY = 8
"""Batches from one measurement of weights to the next, where an objective measures them."""
FORMS = ("linear", "exp")
BACKGROUNDS = ("variance", "hsic", "magnitude")


class SpatialIBTerms(NamedTuple):
    """What the objective computed for one batch."""

    loss: Tensor
    """Scalar, to be added to the cross-entropy."""
    foreground: Tensor
    """Scalar, alignment inside the foreground; larger is more aligned."""
    background: Tensor
    """Scalar, information left in the background; smaller is less."""
    mask: Tensor
    """(B, 1, H, W), the foreground, in [0, 1]."""
    reconstruction: Tensor
    """(B, C, H, W), the VJP R."""
    foreground_loss: Tensor
    """Scalar, what the foreground term adds to the loss."""
    background_loss: Tensor
    """Scalar, what the background term adds to it; loss is the sum of the two."""


class SpatialIB(nn.Module):
    """Spatial Information Bottleneck: gather the VJP's information inside the foreground.

    ``form="linear"``: loss = −λ_fg · alignment + λ_bg · background.
    ``form="exp"``: loss = λ_fg (exp(−alignment) − 1) + λ_bg (exp(background) − 1), whose gradient
    is that of the published scripts, λ_fg exp(−HSIC) + λ_bg exp(variance). The constant near 1000
    is left out, since float32 would resolve only 6e-5 of such a loss. exp overflows where the
    background term passes 88.

    >>> objective = SpatialIB()
    >>> images.requires_grad_(True)
    >>> with sib.second_order():
    ...     logits = model(images)
    >>> terms = objective(logits, images)
    >>> (F.cross_entropy(logits, labels) + terms.loss).backward()

    Args:
        foreground_weight: λ_fg, at least 0.
        background_weight: λ_bg, at least 0.
        window_size: side of the density window in pixels; it must fit into the images.
        temperature: of the soft quantiles, in ranks.
        slope: of the mask's sigmoids.
        projection_dim: columns of the random projection before HSIC, None for no projection.
        form: ``"linear"`` (published description) or ``"exp"`` (published scripts).
        cotangent: of the VJP, ``"probabilities"``, ``"logits"`` or ``"margin"``; see
            `functional.reconstruct`.
        mask: ``"density"``, ``"hard"``, ``"centred"`` or ``"area"``; see
            `functional.foreground_mask`.
        alignment: ``"hsic"`` or ``"ssim"``; see `functional.foreground_alignment`.
        background: ``"variance"``, ``"hsic"`` or ``"magnitude"``; see `functional.losses`.
        estimator: of HSIC, ``"biased"`` (published) or ``"unbiased"``.
        area: wanted mean of the mask, for ``mask="area"``.
        count_include_pad: count the zeros around the image in the density (published).
        epsilon: of the mask's normalisation.
        hsic_scope: which images the terms of a batch see. ``"local"``: those of this process.
            ``"global"``: those of all processes of torch's process group, which must hold batches
            of one size and average their gradients, as DistributedDataParallel does; with a
            projection their generators must be in step.
        guidance: γ in [0, 1], how far a known foreground replaces the found one, where there is
            one; see `functional.mask.guided_mask`.
        generator: of the random projection; torch's default where None.

    Raises:
        ValueError: an argument is out of its range.

    Source: arXiv 2511.09239.
    """

    compilable = True
    """Whether `SpatialIBTask.compile` can make one graph of it."""

    def __init__(
        self,
        foreground_weight: float = 0.01,
        background_weight: float = 1000.0,
        window_size: int = 31,
        temperature: float = 0.1,
        slope: float = 10.0,
        projection_dim: int | None = None,
        form: str = "linear",
        *,
        cotangent: str = "probabilities",
        mask: str = "density",
        alignment: str = "hsic",
        background: str = "variance",
        estimator: str = "biased",
        area: float = 0.1,
        count_include_pad: bool = True,
        epsilon: float = 1e-8,
        hsic_scope: str = "local",
        guidance: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        for name, weight in (
            ("foreground_weight", foreground_weight),
            ("background_weight", background_weight),
        ):
            if not isinstance(weight, (int, float)) or not 0 <= weight < float("inf"):
                raise ValueError(f"{name} must be a finite number of at least 0; got {weight!r}")
        for name, number in (
            ("temperature", temperature),
            ("slope", slope),
            ("epsilon", epsilon),
        ):
            checks.positive(name, number)
        checks.whole_number("window_size", window_size)
        if projection_dim is not None:
            checks.whole_number("projection_dim", projection_dim)
        for name, value, allowed in (
            ("form", form, FORMS),
            ("cotangent", cotangent, COTANGENTS),
            ("mask", mask, KINDS),
            ("alignment", alignment, ALIGNMENTS),
            ("background", background, BACKGROUNDS),
            ("estimator", estimator, tuple(ESTIMATORS)),
            ("hsic_scope", hsic_scope, SCOPES),
        ):
            checks.choice(name, value, allowed)
        if not isinstance(area, (int, float)) or not 0 < area < 1:
            raise ValueError(f"area must lie between 0 and 1, both excluded; got {area!r}")
        if not isinstance(guidance, (int, float)) or not 0 <= guidance <= 1:
            raise ValueError(f"guidance must lie in [0, 1]; got {guidance!r}")
        self.guidance = guidance
        self.foreground_weight, self.background_weight = foreground_weight, background_weight
        self.form, self.cotangent, self.mask = form, cotangent, mask
        self.alignment, self.background = alignment, background
        self.window_size, self.generator = window_size, generator
        self.temperature, self.slope, self.area = temperature, slope, area
        self.count_include_pad, self.epsilon = count_include_pad, epsilon
        self.projection_dim, self.estimator = projection_dim, estimator
        self.hsic_scope = hsic_scope
        self.balance = False
        """Whether the terms are weighed by gradients, measured on every `EVERY`-th batch."""
        self.step = 0
        """Batches taken in train mode; `SpatialIBTask` sets it."""
        self._first_call = True

    @staticmethod
    def calibrated(
        image_weight: float = 0.1, layer_weight: float = 0.1, **options: Any
    ) -> "SpatialIB":
        """The calibrated objective: shares of the background, free of scale and batch size.

        Args:
            image_weight: norm of the gradient of the share of R's energy over cross-entropy's, at
                least 0.
            layer_weight: the same of the share of the last stage's evidence.
            options: ``stage_weight``, ``balance``, ``layer`` and others of
                `sib.objectives.calibrated.CalibratedSpatialIB`, which has the formula.
        """
        from sib.objectives.calibrated import CalibratedSpatialIB  # it builds on this module

        return CalibratedSpatialIB(image_weight, layer_weight, **options)

    def forward(
        self,
        logits: Tensor,
        images: Tensor,
        foreground: Tensor | None = None,
        cross_entropy: Tensor | None = None,
    ) -> SpatialIBTerms:
        """Terms of one batch.

        Args:
            logits: (B, K), computed from ``images`` inside `sib.second_order`.
            images: (B, C, H, W), a tensor that requires a gradient.
            foreground: (B, 1, H, W), bool or in [0, 1], where it is known; it leads the found one.
                An image whose foreground is zero everywhere is not annotated.
            cross_entropy: the scalar beside which the terms will stand, with its graph, for
                objectives that weigh their terms by its gradient.

        Returns:
            `SpatialIBTerms`.

        Raises:
            ValueError: shapes that do not fit, images without gradient, a batch too small for
                HSIC, a window larger than the images, a step that cannot be differentiated twice;
                in train mode, ``cross_entropy`` is missing where the terms are weighed by it.
        """
        if cross_entropy is None and self.balance and self.training:
            raise ValueError(
                "the calibrated objective weighs its terms by cross-entropy's gradient: give "
                "cross_entropy=, or make it with balance=False and weights of your own"
            )
        parts = self.parts(logits, images, foreground=foreground)
        terms = self.weighed_terms(parts, cross_entropy)
        self.step += self.training
        return terms

    def weighed_terms(self, parts: ImageParts, cross_entropy: Tensor | None) -> SpatialIBTerms:
        """`terms`, after their weights were measured where that is due; both with their graph."""
        if cross_entropy is not None and self.balance_is_due():
            self.balance_on([(1, cross_entropy, parts)])
        return self.terms(parts)

    def balance_is_due(self) -> bool:
        """Whether `balance_on` is to be called before the terms of the coming batch are taken."""
        return self.balance and self.training and self.step % EVERY == 0

    def balance_on(self, batches: Iterable[tuple[float, Tensor, ImageParts]]) -> None:
        """Weigh the terms by gradients; see `CalibratedSpatialIB.balance_on`."""

    def recording(self, model: nn.Module, images: Tensor) -> AbstractContextManager[None]:
        """Put around the forward pass; objectives that look inside the model keep what they need.

        Args:
            model: that gives the logits.
            images: (B, C, H, W), its input.
        """
        return nullcontext()

    def parts(
        self,
        logits: Tensor,
        images: Tensor,
        create_graph: bool = True,
        foreground: Tensor | None = None,
    ) -> ImageParts:
        """What the terms need of each image; arguments and errors as of `forward`.

        Args:
            logits: (B, K).
            images: (B, C, H, W).
            create_graph: keep the parts in the graph, so that a loss made of them can be
                differentiated.
            foreground: (B, 1, H, W), or None.
        """
        self.look_at_graph(logits)
        with torch.autocast(images.device.type, enabled=False):
            R = reconstruct(logits, images, create_graph, cotangent=self.cotangent)
            with torch.set_grad_enabled(create_graph):
                # detached: the final backward pass needs no gradient of the images
                parts = self.parts_of(R, images.detach(), foreground)
        self.look_at_first(R)
        return parts

    def parts_of(self, R: Tensor, images: Tensor, foreground: Tensor | None = None) -> ImageParts:
        """What the terms need of each image, from its reconstruction; both (B, C, H, W)."""
        mask = self._led(self._foreground_mask(R), images, foreground)
        checked = check_terms(R, images, mask)
        inside = alignment_parts(*checked, self.alignment)
        return ImageParts(inside, background_parts(*checked, self.background), mask, R)

    def look_at_graph(self, logits: Tensor) -> None:
        """Raise ValueError, of the first logits, where they cannot be differentiated twice."""
        if self._first_call:
            check_graph(logits)

    def look_at_first(self, R: Tensor) -> None:
        """Warn once, of the first reconstruction, where it is zero."""
        if self._first_call:
            self._first_call = False
            _warn_of_zero(R)

    def terms(self, parts: ImageParts) -> SpatialIBTerms:
        """The terms of the batch that the parts belong to."""
        dependence = Dependence(self.projection_dim, self.estimator, self.generator)
        join = joining(self.hsic_scope)
        with torch.autocast(parts.mask.device.type, enabled=False):
            inside = alignment(parts.foreground, self.alignment, dependence, join)
            outside = background(parts.background, self.background, dependence, join)
            of_inside, of_outside = self._losses(inside, outside)
        return SpatialIBTerms(
            of_inside + of_outside,
            inside,
            outside,
            parts.mask,
            parts.reconstruction,
            of_inside,
            of_outside,
        )

    def extra_repr(self) -> str:
        """The options, as they show when the module is printed."""
        names = (
            "foreground_weight",
            "background_weight",
            "form",
            "cotangent",
            "mask",
            "window_size",
            "alignment",
            "background",
        )
        return ", ".join(f"{name}={getattr(self, name)}" for name in names)

    def _foreground_mask(self, R: Tensor) -> Tensor:
        return foreground_mask(
            R,
            self.window_size,
            self.temperature,
            self.slope,
            kind=self.mask,
            epsilon=self.epsilon,
            count_include_pad=self.count_include_pad,
            area=self.area,
        )

    def _led(self, mask: Tensor, images: Tensor, foreground: Tensor | None) -> Tensor:
        """The mask, led by a known foreground."""
        if foreground is None:
            return mask
        checks.foreground(foreground, images)
        return guided_mask(mask, foreground, self.guidance)

    def _losses(self, foreground: Tensor, background: Tensor) -> tuple[Tensor, Tensor]:
        if self.form == "linear":
            return -self.foreground_weight * foreground, self.background_weight * background
        return (
            self.foreground_weight * torch.expm1(-foreground),
            self.background_weight * torch.expm1(background),
        )


def _warn_of_zero(R: Tensor) -> None:
    if not R.any():
        warnings.warn(
            "the reconstruction R is exactly zero, so S-IB has no effect: the model's output does "
            "not change with the images (a head that starts at zero, as torchvision's ViT has, "
            "must be initialised with random weights)",
            stacklevel=3,
        )
