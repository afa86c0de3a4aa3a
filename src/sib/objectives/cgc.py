"""Contrastive Grad-CAM consistency (Pillai et al. 2022), which needs no annotation."""

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn

from sib.double_backward import second_order
from sib.functional import checks
from sib.functional.crops import random_crops, resized_crops
from sib.functional.precision import at_least_float32
from sib.functional.shares import divide_by_max
from sib.models.features import FeatureCapture
from sib.objectives.base import Objective
from sib.objectives.parts import Parts
from sib.objectives.weighting import Weighting


class GradCAMConsistency(Objective):
    """The Grad-CAM map of a crop should be the crop of the map, and unlike other images' maps.

    loss = CE + λ/B Σ_b −log(exp(⟨k_b, q_b⟩/τ) / (exp(⟨k_b, q_b⟩/τ) + Σ_{j≠b} exp(⟨k_b, k_j⟩/τ))).
    T_b is a random resized crop with a flip, k_b the map of the crop T_b(x_b), and q_b the crop
    T_b of the map of x_b, both flattened and divided by their norm. A map is
    relu(Σ_c V_c mean_p ∂z_t/∂V_cp), with V the output of the last stage and t the class that the
    network decides for in x_b. It is differentiated through V and through the gradient.

    From the authors' code: the negatives, maps of the crops of the other images; the class t, so
    that no label is used; the range of the crops, see `functional.crops`; their setting λ = 0.5 and
    τ = 0.5, beside cross-entropies of x, of T(x) and of a third view. Chosen here: cross-entropy of
    x alone, as for every other method; maps at the resolution of V, which the authors enlarge to
    the image's; and mean_p as in Grad-CAM, which their code leaves out, and which makes no
    difference before global pooling. With several labels an image, z_t is the sum of the logits of
    all labels that the network decides for.

    The second pass over T(x) doubles the arithmetic of a plain step. Both passes train the
    network, including batch norm. A map that is zero everywhere has similarity 0 to all others, and
    no gradient. The loss couples the images of a batch: those of a process. `sib.accumulate` gives
    it for the whole batch whatever the micro-batch. The crops are the same on a CPU without
    dropout. They differ with dropout, which draws random numbers between two micro-batches, and on
    a GPU, where random numbers depend on the number of images.

    Args:
        weight: λ, at least 0.
        temperature: τ, above 0.
        layer: name of the last stage's module; None for the architecture's own.
        reshape: output of ``layer`` → (B, C, h, w), if it is not a feature map.
        weighting: as in `Objective`.

    Raises:
        ValueError: an argument is out of its range. In the step: the batch has one image, or the
            architecture's last stage is unknown and ``layer`` is not given.

    Source: Pillai, Koohpayegani, Ouligian, Fong and Pirsiavash, CVPR 2022 (arXiv 2110.00527), and
    https://github.com/UCDvision/CGC.

    Example:
        >>> import sib, torch
        >>> task = sib.Task(sib.models.SmallResNet(3), sib.objectives.GradCAMConsistency(0.5))
        >>> out = task(torch.randn(2, 3, 32, 32), torch.tensor([0, 2]))
        >>> list(out.weighted_terms)
        ['cgc']
    """

    names: ClassVar = ("cgc",)
    couples_images = True

    def __init__(
        self,
        weight: float = 1.0,
        temperature: float = 0.5,
        *,
        layer: str | None = None,
        reshape: Callable[[Tensor], Tensor] | None = None,
        weighting: Weighting | None = None,
    ) -> None:
        super().__init__(weighting)
        checks.at_least_zero("weight", weight)
        checks.positive("temperature", temperature)
        self.weight, self.temperature = weight, temperature
        self._layer, self._reshape = layer, reshape
        self._features = FeatureCapture()

    @property
    def min_batch(self) -> int:
        """An image is compared with the others."""
        return 2

    def forward_parts(
        self,
        model: nn.Module,
        images: Tensor,
        labels: Tensor,
        foreground: Tensor | None = None,
        *,
        create_graph: bool = True,
    ) -> tuple[Tensor, Parts]:
        """Logits, and the two maps of each image, k and q, (B, h·w), of norm 1."""
        crops = random_crops(images)
        logits, classes, maps = self._pass(model, images, None, create_graph)
        cropped = resized_crops(images.detach(), crops)
        _, _, found = self._pass(model, cropped, classes, create_graph)
        maps = resized_crops(maps, crops)
        return logits, Parts({"cgc": (_normalized(found), _normalized(maps))})

    def terms(self, parts: Parts) -> dict[str, Tensor]:
        """The contrastive loss, a mean over the images."""
        found, expected = parts.values["cgc"]
        if len(found) < self.min_batch:
            raise ValueError("cgc needs at least 2 images in a batch, to contrast them; got 1")
        with torch.autocast(found.device.type, enabled=False):
            own = torch.eye(len(found), dtype=torch.bool, device=found.device)
            positive = (found * expected).sum(dim=1)
            similarity = torch.where(own, positive[:, None], found @ found.T) / self.temperature
            return {"cgc": (similarity.logsumexp(dim=1) - positive / self.temperature).mean()}

    def term_weights(self) -> dict[str, float]:
        """λ."""
        return {"cgc": self.weight}

    def _pass(
        self, model: nn.Module, images: Tensor, classes: Tensor | None, create_graph: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Logits, the classes that the network decides for, and the maps (B, 1, h, w).

        Args:
            model: the classifier.
            images: (B, C, H, W).
            classes: bool (B, K), the classes to explain; None for those just found.
            create_graph: keep the maps in the graph.
        """
        images = images.detach().requires_grad_()
        captured = self._features.capture(model, images, self._layer, self._reshape)
        with second_order() as scope, captured:
            scope.images = images
            raw = model(images)
        self.check_twice_differentiable(raw)
        logits = self.kind.class_logits(at_least_float32(raw))
        classes = self.kind.decided(logits.detach()) if classes is None else classes
        layer = self._last_stage()
        with torch.autocast(images.device.type, enabled=False):
            explained = (logits * classes).sum()
            (gradient,) = torch.autograd.grad(explained, layer, create_graph=create_graph)
            scope.images_done = True
            values, gradient = (
                divide_by_max(at_least_float32(self._features.as_map(v))) for v in (layer, gradient)
            )
            importance = gradient.mean(dim=(2, 3), keepdim=True)
            return raw, classes, (values * importance).sum(dim=1, keepdim=True).relu()

    def _last_stage(self) -> Tensor:
        found = self._features.pop()
        if not found:
            raise ValueError(
                "the last stage has one place, so its maps are all alike: give layer= a finer one, "
                "or larger images"
            )
        return found[0]


def _normalized(maps: Tensor) -> Tensor:
    """Maps (B, 1, h, w) as rows of norm 1, (B, h·w); those that are zero everywhere stay so."""
    rows = divide_by_max(maps).flatten(1)
    squares = rows.square().sum(dim=1, keepdim=True)
    return rows * torch.where(squares == 0, 1, squares).rsqrt()
