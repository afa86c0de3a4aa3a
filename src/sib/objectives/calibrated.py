"""The calibrated objective: shares of the background, at the image and at every stage."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from sib.functional.appearance import appearance_foreground
from sib.functional.parts import ImageParts
from sib.functional.reconstruction import check_arguments, vector_jacobian_products
from sib.functional.shares import background_share, energy, enlarged, evidence
from sib.models.features import Features
from sib.objectives.balance import GradientSums, balanced
from sib.objectives.published import SpatialIB, SpatialIBTerms

WINDOW_SHARE = 31 / 224
"""Side of the window over that of the image: the published one at 224 × 224."""


class CalibratedSpatialIB(SpatialIB):
    """S-IB in shares, so that one setting serves data sets, architectures and batch sizes.

    loss = Σ_k λ_k β_k ρ_k with the shares of the background, means over the images,
    ρ_image = ρ(Σ_c R_c²), ρ_layer = ρ(e(F, G)), ρ_stage = mean over j of ρ(e(F_j, G_j)),
    where ρ(v) = Σ v (1 − M) / Σ v is the share of v in the background, and e(F, G) =
    Σ_c relu(G_c F_c) the evidence, enlarged bilinearly to the image.

    β_k = ‖∇H‖ / ‖∇ρ_k‖, norms over all parameters of the gradients of cross-entropy H and of the
    share: so λ_k is the norm of a term's gradient over cross-entropy's, and the same λ_k serve
    networks and data whose shares move at very different rates. β is measured on every
    eighth batch and holds until the next one, which costs a backward pass for each term and one for
    H. With ``balance=False``, β = 1. Each process measures its own batch, and between two
    measurements DistributedDataParallel gives the first one's β to all, as it does with buffers.

    R, G and G_j are the VJPs of s = log(p_t / (1 − p_t)) at the image, at the features F of the
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
    >>> cross_entropy = F.cross_entropy(logits, labels)
    >>> terms = objective(logits, images, cross_entropy=cross_entropy)

    `SpatialIBTask` does all of this by itself. β is in the ``state_dict``; a plain loop that goes
    on from a saved step sets ``objective.step``, a task's loop ``task.step``, so that β is measured
    on the same batches as without the stop. In eval mode β stays as it is.

    In the terms ``foreground`` is 1 − ρ at the last stage and ``background`` is ρ at the image,
    both in [0, 1]; ``background_loss`` holds what the image and the finer stages add.

    Args:
        image_weight: λ_image, at least 0.
        layer_weight: λ_layer, at least 0.
        stage_weight: λ_stage, at least 0; where the network has no finer stages (transformers over
            tokens), its term is 0.
        balance: measure β; False for β = 1, so that the weights are those of the shares themselves.
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
        image_weight: float = 0.1,
        layer_weight: float = 0.1,
        stage_weight: float = 0.1,
        *,
        balance: bool = True,
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
        self.stage_weight, self.balance = stage_weight, balance
        self.factors: Tensor
        self.register_buffer("factors", torch.zeros(3))  # β of image, layer, stages; 0: unknown
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

    def balance_on(self, batches: Iterable[tuple[float, Tensor, ImageParts]]) -> None:
        """Measure β.

        Args:
            batches: one batch as its micro-batches, asked for one at a time: their share of it,
                their cross-entropy and their parts, both with graph.
        """
        gradients = None
        for share, cross_entropy, parts in batches:
            if gradients is None:  # by now it is known which model the parts are of
                gradients = GradientSums(self._features.parameters())
            shares = zip(self._shares(parts), self._own_weights(), strict=True)
            wanted = [each if weight else each.detach() for each, weight in shares]
            gradients.add([share * loss for loss in (cross_entropy, *wanted)])
            del cross_entropy, parts, shares, wanted  # their graph goes before the next one is made
        if gradients is not None:
            before = self.factors.to(gradients.sums[0].device)
            self.factors = balanced(*gradients.sums, before=before)

    def _shares(self, parts: ImageParts) -> tuple[Tensor, Tensor, Tensor]:
        """ρ_image, ρ_layer and ρ_stage of the batch that the parts belong to."""
        at_image, *at_stages = (share.mean() for share in parts.background)
        at_stage = torch.stack(at_stages).mean() if at_stages else torch.zeros_like(at_image)
        return at_image, parts.foreground[0].mean(), at_stage

    def weights(self) -> Tensor:
        """λ_k β_k of image, layer and stages, (3,)."""
        factors = torch.ones_like(self.factors) if not self.balance else self.factors
        pairs = zip(self._own_weights(), factors, strict=True)
        return torch.stack([weight * factor for weight, factor in pairs])

    def _own_weights(self) -> tuple[float, float, float]:
        return self.image_weight, self.layer_weight, self.stage_weight

    def terms(self, parts: ImageParts) -> SpatialIBTerms:
        """The terms of the batch that the parts belong to."""
        at_image, at_layer, at_stage = self._shares(parts)
        of_image, of_layer, of_stage = self.weights()
        foreground = of_layer * at_layer
        background = of_image * at_image + of_stage * at_stage
        found = 1 - at_layer, at_image, parts.mask, parts.reconstruction
        return SpatialIBTerms(foreground + background, *found, foreground, background)

    def extra_repr(self) -> str:
        """The options, as they show when the module is printed."""
        weights = ("image_weight", "layer_weight", "stage_weight", "balance")
        return ", ".join(f"{name}={getattr(self, name)}" for name in weights)
