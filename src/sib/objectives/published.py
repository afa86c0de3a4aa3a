"""The published objective: HSIC inside the foreground, variance outside it."""

from typing import ClassVar

import torch
from torch import Tensor

from sib.distributed.batch_gather import SCOPES, batch_gather
from sib.functional import checks, foreground_mask, reconstruct
from sib.functional.dependence import ESTIMATORS
from sib.functional.losses import ALIGNMENTS, check_terms
from sib.functional.mask import KINDS
from sib.functional.parts import (
    Dependence,
    alignment,
    alignment_parts,
    background,
    background_parts,
)
from sib.functional.reconstruction import COTANGENTS
from sib.objectives.calibrated import CalibratedSpatialIB
from sib.objectives.parts import Parts
from sib.objectives.spatial_ib import SpatialIBObjective
from sib.objectives.weighting import Weighting

FORMS = ("linear", "exp")
BACKGROUNDS = ("variance", "hsic", "magnitude")


class SpatialIB(SpatialIBObjective):
    """Spatial Information Bottleneck: concentrate the VJP's information in the foreground.

    ``form="linear"``: loss = −λ_fg · alignment + λ_bg · background.

    ``form="exp"``: loss = λ_fg (exp(−alignment) − 1) + λ_bg (exp(background) − 1). Its gradient is
    that of the published scripts, whose loss is λ_fg exp(−HSIC) + λ_bg exp(variance). Their
    constant of about 1000 is left out, since float32 would resolve such a loss only to 6e-5. exp
    overflows if the background term exceeds 88.

    >>> import sib, torch
    >>> model, objective = sib.models.SmallResNet(3), sib.SpatialIB()
    >>> images, labels = torch.randn(4, 3, 32, 32, requires_grad=True), torch.tensor([0, 1, 2, 1])
    >>> with sib.second_order():
    ...     logits = model(images)
    >>> terms = objective(logits, images)
    >>> (torch.nn.functional.cross_entropy(logits, labels) + terms.loss).backward()

    Args:
        foreground_weight: λ_fg, at least 0.
        background_weight: λ_bg, at least 0.
        window_size: side of the density window in pixels; it must fit into the images.
        temperature: width of the soft quantiles, in ranks.
        slope: slope of the mask's sigmoids.
        projection_dim: columns of the random projection before HSIC; None for no projection.
        form: ``"linear"`` (published description) or ``"exp"`` (published scripts).
        cotangent: cotangent of the VJP, ``"probabilities"``, ``"logits"`` or ``"margin"``; see
            `functional.reconstruct`.
        mask: ``"density"``, ``"hard"``, ``"centred"`` or ``"area"``; see
            `functional.foreground_mask`.
        alignment: ``"hsic"`` or ``"ssim"``; see `functional.foreground_alignment`.
        background: ``"variance"``, ``"hsic"`` or ``"magnitude"``; see `functional.losses`.
        estimator: how HSIC is estimated, ``"biased"`` (published) or ``"unbiased"``.
        area: target mean of the mask, for ``mask="area"``.
        count_include_pad: count the zeros around the image in the density (published).
        epsilon: keeps the mask's normalisation finite; see `functional.foreground_mask`.
        hsic_scope: which images the terms are computed over. ``"local"``: those of this process.
            ``"global"``: those of all processes of torch's process group. These must have batches
            of the same size and average their gradients, as DistributedDataParallel does. With a
            projection their generators must have the same state.
        guidance: γ in [0, 1], how far an annotated foreground replaces the one that was found; see
            `functional.mask.guided_mask`.
        generator: source of randomness for the projection; None for torch's default.
        weighting: as in `Objective`.

    Raises:
        ValueError: an argument is out of its range.

    Source: arXiv 2511.09239.
    """

    names: ClassVar = ("foreground", "background")
    couples_images = True
    calibrated: ClassVar[type[CalibratedSpatialIB]] = CalibratedSpatialIB
    """The calibrated objective; `CalibratedSpatialIB` has the formula and the arguments."""

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
        weighting: Weighting | None = None,
    ) -> None:
        super().__init__(weighting, guidance)
        checks.at_least_zero("foreground_weight", foreground_weight)
        checks.at_least_zero("background_weight", background_weight)
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
        self.foreground_weight, self.background_weight = foreground_weight, background_weight
        self.form, self.cotangent, self.mask = form, cotangent, mask
        self.alignment, self.background = alignment, background
        self.window_size, self.generator = window_size, generator
        self.temperature, self.slope, self.area = temperature, slope, area
        self.count_include_pad, self.epsilon = count_include_pad, epsilon
        self.projection_dim, self.estimator = projection_dim, estimator
        self.hsic_scope = hsic_scope

    @property
    def min_batch(self) -> int:
        """Smallest number of images for which HSIC is defined."""
        return ESTIMATORS[self.estimator]

    def term_weights(self) -> dict[str, float]:
        """λ_fg and λ_bg."""
        return {"foreground": self.foreground_weight, "background": self.background_weight}

    def parts(
        self,
        logits: Tensor,
        images: Tensor,
        foreground: Tensor | None = None,
        *,
        create_graph: bool = True,
    ) -> Parts:
        """The rows of HSIC and the variance of each image; arguments and errors as in `forward`."""
        self.check_twice_differentiable(logits)
        with torch.autocast(images.device.type, enabled=False):
            R = reconstruct(
                logits,
                images,
                create_graph,
                cotangent=self.cotangent,
                label_kind=self.label_kind,
            )
            with torch.set_grad_enabled(create_graph):
                # detached: the final backward pass needs no gradient of the images
                parts = self.parts_of(R, images.detach(), foreground)
        self._warn_if_zero(R)
        return parts

    def parts_of(self, R: Tensor, images: Tensor, foreground: Tensor | None = None) -> Parts:
        """What the terms need from each image, given R and the images, both (B, C, H, W)."""
        mask = self._apply_guidance(self._find_foreground(R), images, foreground)
        checked = check_terms(R, images, mask)
        inside = alignment_parts(*checked, self.alignment)
        outside = background_parts(*checked, self.background)
        return Parts({"foreground": inside, "background": outside}, mask, R)

    def terms(self, parts: Parts) -> dict[str, Tensor]:
        """The alignment A and the background term V, scalars."""
        dependence = Dependence(self.projection_dim, self.estimator, self.generator)
        gather = batch_gather(self.hsic_scope)
        inside, outside = parts.values["foreground"], parts.values["background"]
        with torch.autocast(inside[0].device.type, enabled=False):
            return {
                "foreground": alignment(inside, self.alignment, dependence, gather),
                "background": background(outside, self.background, dependence, gather),
            }

    def penalties(self, values: dict[str, Tensor]) -> dict[str, Tensor]:
        """−A and V, or exp(−A) − 1 and exp(V) − 1."""
        if self.form == "linear":
            return {"foreground": -values["foreground"], "background": values["background"]}
        return {
            "foreground": torch.expm1(-values["foreground"]),
            "background": torch.expm1(values["background"]),
        }

    def extra_repr(self) -> str:
        """The options that are shown when the module is printed."""
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

    def _find_foreground(self, R: Tensor) -> Tensor:
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
