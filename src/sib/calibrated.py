"""The calibrated objective: shares of the background, at the image and at every stage."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from sib.features import Features
from sib.functional.appearance import appearance_foreground
from sib.functional.parts import ImageParts
from sib.functional.ratio import background_share, energy, enlarged, evidence
from sib.functional.reconstruction import check_arguments, vector_jacobian_products
from sib.objective import SpatialIB, SpatialIBTerms

WINDOW_SHARE = 31 / 224
"""Side of the window over that of the image: the published one at 224 × 224."""


class CalibratedSpatialIB(SpatialIB):
    """S-IB in shares, so that one setting serves data sets, architectures and batch sizes.

    loss = λ_image · ρ(Σ_c R_c²) + λ_layer · ρ(e(F, G)) + λ_stage · mean over k of ρ(e(F_k, G_k)),
    mean over the images, with ρ(v) = Σ v (1 − M) / Σ v, the share of v in the background, and the
    evidence e(F, G) = Σ_c relu(G_c F_c), enlarged bilinearly to the image.

    R, G and G_k are the VJPs of s = log(p_t / (1 − p_t)) at the image, at the features F of the
    last stage and at those of up to three finer stages before it, t being the predicted class:
    unlike ½ Σ p², s has a gradient also where the network is certain. M is the part of the image
    whose colours R favours (see `functional.appearance`), taken as given. ρ is differentiated
    through both sums: making R small wins nothing, and ρ does not change with R's scale or the
    batch's size.

    Class activation maps are made at the last stage and gradients at the image; a term at one of
    them alone leaves the other kind of explanation where it is. The stages between teach the
    network early on what the background is. One backward pass gives all VJPs. See docs/evidence.md.

    >>> objective = sib.SpatialIB.calibrated()
    >>> images.requires_grad_(True)
    >>> with sib.second_order(), objective.recording(model, images):
    ...     logits = model(images)
    >>> terms = objective(logits, images)

    `SpatialIBTask` does the recording by itself. In the terms ``foreground`` is 1 − ρ at the last
    stage and ``background`` is ρ at the image, both in [0, 1]; ``background_loss`` holds what the
    image and the finer stages add.

    Args:
        image_weight: λ_image, at least 0.
        layer_weight: λ_layer, at least 0.
        stage_weight: λ_stage, at least 0; where the network has no finer stages (transformers over
            tokens), its term is 0.
        layer: the last stage, a module or its name; None for the architecture's own.
        reshape: output of ``layer`` → (B, C, h, w), where it is no feature map.
        area: of the foreground over that of the image, in (0, 1).
        guidance: as of `SpatialIB`.

    Raises:
        ValueError: a weight is out of its range; when recording, the architecture is unknown and
            ``layer`` is not given.
    """

    compilable = False

    def __init__(
        self,
        image_weight: float = 0.6,
        layer_weight: float = 2.0,
        stage_weight: float = 2.0,
        *,
        layer: str | nn.Module | None = None,
        reshape: Callable[[Tensor], Tensor] | None = None,
        area: float = 0.2,
        guidance: float = 1.0,
    ) -> None:
        for name, weight in (
            ("image_weight", image_weight),
            ("layer_weight", layer_weight),
            ("stage_weight", stage_weight),
        ):
            if not isinstance(weight, (int, float)) or not 0 <= weight < float("inf"):
                raise ValueError(f"{name} must be a finite number of at least 0; got {weight!r}")
        super().__init__(cotangent="margin", area=area, guidance=guidance)
        self.image_weight, self.layer_weight = image_weight, layer_weight
        self.stage_weight = stage_weight
        self._layer, self._reshape = (layer,), reshape  # in a tuple: it is no part of this module
        self._features = Features(stages=stage_weight > 0)

    def recording(self, model: nn.Module, images: Tensor) -> AbstractContextManager[None]:
        """Keep the stages' features in the forward pass inside the context.

        Args:
            model: that gives the logits.
            images: (B, C, H, W), its input.

        Raises:
            ValueError: the layer is not known, or not a part of the model.
        """
        return self._features.recorded(model, images, self._layer[0], self._reshape)

    def parts(
        self,
        logits: Tensor,
        images: Tensor,
        create_graph: bool = True,
        foreground: Tensor | None = None,
    ) -> ImageParts:
        """The shares of each image; arguments and errors as of `SpatialIB.parts`."""
        check_arguments(logits, images, self.cotangent)
        self.look_at_graph(logits)
        features = self._features.take()
        with torch.autocast(images.device.type, enabled=False):
            inputs = (images, *features)
            R, *gradients = vector_jacobian_products(logits, inputs, create_graph, self.cotangent)
            with torch.set_grad_enabled(create_graph):
                mask = self._led(self._found(R, images), images, foreground)
                outside_image = background_share(energy(R), mask)
                outside_layer, *outside_stages = (
                    self._outside(*pair, mask) for pair in zip(features, gradients, strict=True)
                )
        self.look_at_first(R)
        return ImageParts((outside_layer,), (outside_image, *outside_stages), mask, R)

    def _outside(self, features: Tensor, gradient: Tensor, mask: Tensor) -> Tensor:
        """Share of a stage's evidence in the background, (B,)."""
        found = evidence(*(self._features.as_map(values) for values in (features, gradient)))
        return background_share(enlarged(found, mask), mask)

    def _found(self, R: Tensor, images: Tensor) -> Tensor:
        window = max(1, round(WINDOW_SHARE * min(R.shape[-2:])))
        return appearance_foreground(R, images, window, self.area)

    def terms(self, parts: ImageParts) -> SpatialIBTerms:
        """The terms of the batch that the parts belong to."""
        at_layer = parts.foreground[0].mean()
        at_image, *at_stages = (share.mean() for share in parts.background)
        background = self.image_weight * at_image
        if at_stages:
            background = background + self.stage_weight * torch.stack(at_stages).mean()
        foreground = self.layer_weight * at_layer
        found = 1 - at_layer, at_image, parts.mask, parts.reconstruction
        return SpatialIBTerms(foreground + background, *found, foreground, background)

    def extra_repr(self) -> str:
        """The options, as they show when the module is printed."""
        weights = ("image_weight", "layer_weight", "stage_weight")
        return ", ".join(f"{name}={getattr(self, name)}" for name in weights)
