"""The calibrated objective: shares of the background, at the image and at every stage."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from sib.functional import checks
from sib.functional.appearance import appearance_foreground
from sib.functional.reconstruction import (
    check_arguments,
    scaled_gradients,
    vector_jacobian_products,
)
from sib.functional.shares import background_share, energy, positive_attribution, upsample
from sib.models.features import FeatureCapture
from sib.models.layers import LayerDescription, describe
from sib.objectives.label_guidance import added, label_scores, rounds_of
from sib.objectives.parts import Parts
from sib.objectives.spatial_ib import SpatialIBObjective
from sib.objectives.weighting import GradientBalancer, Weighting

WINDOW_SHARE = 31 / 224
"""Side of the window divided by that of the image; the published ratio at 224 × 224."""
STEADY_INTERVAL = 32
"""Steps with terms between two measurements of the gradients, from the 64th on."""


class CalibratedSpatialIB(SpatialIBObjective):
    """S-IB in shares, so that one setting works across data sets, architectures and batch sizes.

    With p the softmax of the logits and t the predicted class, let s = log(p_t / (1 − p_t)). R, G
    and G_j are the VJPs of s at the image, at the features F of the last stage, and at the features
    F_j of up to three finer stages before it. One backward pass computes all of them. Unlike
    ½ Σ p², s has a gradient even where the network is certain.

    M is the part of the image whose colours R favours (see `functional.appearance`); it is treated
    as a constant. ρ(v) = Σ v (1 − M) / Σ v is the share of v in the background, and
    e(F, G) = Σ_c relu(G_c F_c) the positive attribution of a stage, enlarged bilinearly to the
    image. Then

    loss = Σ_k λ_k β_k ρ_k, with k one of image, layer (the last stage) and stages (the finer ones).

    Each ρ_k is a mean over the images: ρ_image = ρ(Σ_c R_c²), ρ_layer = ρ(e(F, G)), ρ_stages = mean
    over j of ρ(e(F_j, G_j)). A stage of one place has no term, since its share cannot change. ρ is
    differentiated through both sums, so a smaller R does not lower it. It depends neither on R's
    scale nor on the batch size.

    With several labels an image, s is the log-odds of the predicted set (see
    `label_kinds.MultiLabel`), and a foreground is that of all objects. If a foreground (B, K, H, W)
    gives each label its own, F_k, then s is z_k, the log-odds of label k, with M = F_k, and each
    ρ is a mean over the annotated labels of an image. That takes one VJP for each label of the
    image with the most of them. A foreground that holds one of an image's labels only, drawn at
    random with equal probabilities, has the same expected gradient at the cost of one VJP.

    β_k = ‖∇H‖ / ‖∇ρ_k‖ compares the gradients of cross-entropy H and of the share; the norms are
    over all parameters. λ_k is therefore the norm of a term's gradient relative to cross-entropy's;
    see `GradientBalancer`. With ``balance=False``, β = 1. Each process measures its own batch.
    Between two measurements DistributedDataParallel broadcasts the first process's β, as it does
    with buffers.

    Class activation maps are computed at the last stage, and gradients at the image. A term at only
    one of the two leaves the other kind of explanation unchanged. The stages in between teach the
    network early what the background is. See docs/earlier_experiments.md.

    >>> import sib, torch
    >>> model, objective = sib.models.SmallResNet(3), sib.SpatialIB.calibrated()
    >>> images, labels = torch.randn(4, 3, 32, 32, requires_grad=True), torch.tensor([0, 1, 2, 1])
    >>> with sib.second_order(), objective.capture_features(model, images):
    ...     logits = model(images)
    >>> cross_entropy = torch.nn.functional.cross_entropy(logits, labels)
    >>> terms = objective(logits, images, cross_entropy=cross_entropy)

    `sib.Task` does all of this by itself. β is in the ``state_dict`` and does not change in eval
    mode.

    Args:
        image_weight: λ_image, at least 0.
        layer_weight: λ_layer, at least 0.
        stage_weight: λ_stages, at least 0. The term is 0 if the network has no finer stages, as in
            transformers whose tokens all have one size.
        balance: measure β by a `GradientBalancer`; False for β = 1, so that the weights apply to
            the shares themselves.
        balance_floor: as ``floor`` in `GradientBalancer`, in [0, 1].
        steady_interval: as in `GradientBalancer`. With 32 a step costs less than with 8, and the
            results are the same within the spread of seeds (docs/speed.md).
        layer: the last stage, a module or its name; None for the architecture's own.
        reshape: output of ``layer`` → (B, C, h, w), if it is not a feature map.
        stages: names of the layers that end the finer stages; None for those that
            `sib.models.stages.finer_stages` finds.
        area: area of the foreground as a share of the image, in (0, 1).
        guidance: as in `SpatialIB`.
        weighting: overrides ``balance``.

    Raises:
        ValueError: a weight is out of its range. In the forward pass: the architecture is unknown
            and ``layer`` is not given.
    """

    names: ClassVar = ("image", "stages", "layer")  # fine to coarse
    takes_label_foregrounds: ClassVar = True

    def __init__(
        self,
        image_weight: float = 0.1,
        layer_weight: float = 0.1,
        stage_weight: float = 0.1,
        *,
        balance: bool = True,
        balance_floor: float = 0.0,
        steady_interval: int = STEADY_INTERVAL,
        layer: str | nn.Module | None = None,
        reshape: Callable[[Tensor], Tensor] | None = None,
        stages: Sequence[str] | None = None,
        area: float = 0.2,
        guidance: float = 1.0,
        weighting: Weighting | None = None,
    ) -> None:
        checks.at_least_zero("image_weight", image_weight)
        checks.at_least_zero("layer_weight", layer_weight)
        checks.at_least_zero("stage_weight", stage_weight)
        if not isinstance(area, (int, float)) or not 0 < area < 1:
            raise ValueError(f"area must lie between 0 and 1, both excluded; got {area!r}")
        if isinstance(stages, str):
            raise ValueError(f"stages must be a list of names; got {stages!r}: give [{stages!r}]")
        if weighting is None and balance:
            weighting = GradientBalancer(floor=balance_floor, steady_interval=steady_interval)
        super().__init__(weighting, guidance)
        self.image_weight, self.layer_weight = image_weight, layer_weight
        self.stage_weight, self.area = stage_weight, area
        self._layer, self._reshape = (layer,), reshape  # in a tuple: not a part of this module
        self._stages = None if stages is None else tuple(stages)
        own = True if self._stages is None else self._stages
        self._features = FeatureCapture(own if stage_weight else False)
        self._places_are_checked = False

    def term_weights(self) -> dict[str, float]:
        """λ of the image, the stages and the layer."""
        return {
            "image": self.image_weight,
            "stages": self.stage_weight,
            "layer": self.layer_weight,
        }

    def terms(self, parts: Parts) -> dict[str, Tensor]:
        """ρ of the image, the stages and the layer, averaged over the batch."""
        image = parts.values["image"][0].mean()

        def mean(name: str) -> Tensor:
            shares = [share.mean() for share in parts.values[name]]
            return torch.stack(shares).mean() if shares else torch.zeros_like(image)

        return {"image": image, "stages": mean("stages"), "layer": mean("layer")}

    def parts(
        self,
        logits: Tensor,
        images: Tensor,
        foreground: Tensor | None = None,
        *,
        create_graph: bool = True,
    ) -> Parts:
        """The shares of each image; arguments and errors as in `forward`."""
        check_arguments(logits, images, "margin", self.label_kind)
        self.check_twice_differentiable(logits)
        features = self._features.pop()
        if self.label_kind == "multi" and foreground is not None and foreground.shape[1:2] > (1,):
            checks.foreground(foreground, images, labels=logits.shape[1])
            found = self._label_parts(logits, images, features, foreground, create_graph)
        else:
            with torch.autocast(images.device.type, enabled=False):
                gradients = vector_jacobian_products(
                    logits, (images, *features), create_graph, "margin", self.label_kind
                )
            found = self._shares(images, features, gradients, foreground, create_graph)
        assert found.reconstruction is not None
        self._warn_if_zero(found.reconstruction)
        self._warn_if_one_place()
        return found

    def _label_parts(
        self,
        logits: Tensor,
        images: Tensor,
        features: Sequence[Tensor],
        foreground: Tensor,
        create_graph: bool,
    ) -> Parts:
        """The shares of each image, a mean over its annotated labels."""
        total: Parts | None = None
        for labels, own, is_new, count in rounds_of(foreground):
            with torch.autocast(images.device.type, enabled=False):
                output, scale = label_scores(logits, labels)
                inputs = (images, *features)
                gradients = scaled_gradients(output, scale, inputs, create_graph, True)
            found = self._shares(images, features, gradients, own, create_graph)
            found = found.with_tensors(
                torch.where(is_new, each / count, 0) for each in found.tensors()
            )
            total = found if total is None else added(total, found, is_new)
        assert total is not None
        return total

    def _shares(
        self,
        images: Tensor,
        features: Sequence[Tensor],
        gradients: Sequence[Tensor],
        foreground: Tensor | None,
        create_graph: bool,
    ) -> Parts:
        """The shares of each image from R and the gradients at the stages."""
        R, *at_stages = gradients
        with (
            torch.autocast(images.device.type, enabled=False),
            torch.set_grad_enabled(create_graph),
        ):
            M = self._apply_guidance(self._find_foreground(R, images), images, foreground)
            image = self._image_share(R, M)
            stages = {
                name: self._stage_share(name, F, G, M)
                for name, F, G in zip(self._features.names, features, at_stages, strict=True)
            }
        last = self._features.last
        layer = () if last is None else (stages.pop(last),)
        return Parts({"image": (image,), "stages": tuple(stages.values()), "layer": layer}, M, R)

    def _find_foreground(self, R: Tensor, images: Tensor) -> Tensor:
        """M, (B, 1, H, W)."""
        window = max(1, round(WINDOW_SHARE * min(R.shape[-2:])))
        return appearance_foreground(R, images, window, self.area)

    def _image_share(self, R: Tensor, M: Tensor) -> Tensor:
        """ρ(Σ_c R_c²), (B,)."""
        return background_share(energy(R), M)

    def _stage_share(self, name: str, F: Tensor, G: Tensor, M: Tensor) -> Tensor:
        """ρ(e(F, G)) of a stage, (B,)."""
        F, G = (self._features.as_map(values, name) for values in (F, G))
        return background_share(upsample(positive_attribution(F, G), M), M)

    @contextmanager
    def capture_features(self, model: nn.Module, images: Tensor) -> Iterator[None]:
        """Keep the stages' features in the forward pass inside the context.

        Args:
            model: the model that computes the logits.
            images: (B, C, H, W), its input.

        Raises:
            ValueError: the layer is unknown, or not a part of the model.
        """
        with self._features.capture(model, images, self._layer[0], self._reshape):
            yield

    def captured_parameters(self) -> list[nn.Parameter]:
        """The parameters of the model that ran in the last forward pass."""
        return self._features.parameters()

    def extra_repr(self) -> str:
        """The options that are shown when the module is printed."""
        weights = ("image_weight", "layer_weight", "stage_weight")
        return ", ".join(f"{name}={getattr(self, name)}" for name in weights)

    def describe_layers(self, model: nn.Module, images: Tensor) -> LayerDescription:
        """Describe which layers serve as the last stage and the finer stages, for printing.

        Arguments and errors as in `sib.models.layers.describe`. The warning about a last stage of
        one place is not repeated afterwards.
        """
        self._places_are_checked = True
        stages = self._stages if self.stage_weight else ()
        return describe(model, images, self._layer[0], self._reshape, stages)

    def _warn_if_one_place(self) -> None:
        """Warn once if the last stage cannot have a term."""
        if self._places_are_checked:
            return
        self._places_are_checked = True
        if self._features.last is None:
            finer = ", ".join(self._features.names)
            warnings.warn(
                "the last stage has one place, so its share of the background never changes and it "
                "has no term: give layer= a finer one"
                + (f", such as {finer}" if finer else "")
                + ", or larger images",
                stacklevel=3,
            )

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *others: Any) -> None:
        """Load β from a state of sib 0.1, which stored it in the order image, layer, stages."""
        old = state.pop(f"{prefix}factors", None)
        if old is not None and isinstance(self.weighting, GradientBalancer):
            state[f"{prefix}weighting.factors"] = old[[0, 2, 1]]
            state[f"{prefix}weighting.largest"] = torch.zeros(())
        super()._load_from_state_dict(state, prefix, *others)
