"""The contract of an objective: the terms that a method adds to the classification loss."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import ClassVar

from torch import Tensor, nn

from sib.double_backward import check_graph
from sib.functional.label_kinds import KINDS, LabelKind
from sib.objectives.gradient_sums import Measured
from sib.objectives.parts import Parts, Terms
from sib.objectives.weighting import FixedWeights, Losses, Weighting


class Objective(nn.Module, ABC):
    """One training method: L = H + Σ_k w_k P_k, with H the classification loss.

    H is the task's criterion, usually cross-entropy. P_k is the penalty of term k, a scalar that is
    minimised. Its weight is w_k = λ_k β_k: λ_k is configured, and ``weighting`` gives β_k. Most
    terms are their own penalty; if a larger value is better, `penalties` reverses it.

    To add a method, write one class with `forward_parts`, `terms` and `term_weights`, and register
    it; CONTRIBUTING.md has an example.

    Args:
        weighting: how β is computed; None for `FixedWeights`, β = 1.

    Example:
        >>> import sib, torch
        >>> class SmallLogits(sib.Objective):
        ...     names = ("size",)
        ...     def forward_parts(self, model, images, labels, foreground=None, **options):
        ...         logits = model(images)
        ...         return logits, sib.Parts({"size": (logits.square().mean(dim=1),)})
        ...     def terms(self, parts):
        ...         return {"size": parts.values["size"][0].mean()}
        ...     def term_weights(self):
        ...         return {"size": 0.1}
        >>> task = sib.Task(sib.models.SmallResNet(3), SmallLogits())
        >>> out = task(torch.randn(2, 3, 32, 32), torch.tensor([0, 2]))
        >>> list(out.weighted_terms)
        ['size']
    """

    names: ClassVar[tuple[str, ...]]
    """Names of the terms, in the order in which they are added up."""
    takes_label_foregrounds: ClassVar[bool] = False
    """Whether a foreground may be (B, K, H, W), one for each of several labels."""
    needs_foreground: ClassVar[bool] = False
    """Whether a step needs annotated foregrounds."""
    couples_images: ClassVar[bool] = False
    """Whether a term depends on how the images of a batch relate to each other, as HSIC does.
    Other terms are means over the images, so a batch's term is the mean over its micro-batches."""
    differentiates_twice: ClassVar[bool] = True
    """Whether the loss depends on a gradient of the model's output."""
    label_kind: str = "single"
    """What the logits mean, ``"single"`` or ``"multi"``; see `functional.label_kinds`. `Task` sets
    it by its criterion; a loop of one's own for several labels an image sets it itself."""

    def __init__(self, weighting: Weighting | None = None) -> None:
        super().__init__()
        self.weighting = FixedWeights() if weighting is None else weighting
        self.weighting.bind(self.names)
        self._graph_is_checked = False

    @property
    def min_batch(self) -> int:
        """Smallest number of images for which the terms are defined."""
        return 1

    @abstractmethod
    def forward_parts(
        self,
        model: nn.Module,
        images: Tensor,
        labels: Tensor,
        foreground: Tensor | None = None,
        *,
        create_graph: bool = True,
    ) -> tuple[Tensor, Parts]:
        """Run the model, and compute what the terms need from each image.

        Args:
            model: classifier (B, C, H, W) → (B, K).
            images: (B, C, H, W), floating point.
            labels: (B,), int64 in [0, K), or (B, K), soft labels or several labels an image.
            foreground: (B, 1, H, W), bool or in [0, 1], if it is known; zero everywhere for an
                image that is not annotated.
            create_graph: keep the parts in the graph, so that a loss computed from them can be
                differentiated.

        Returns:
            Logits (B, K), and `Parts`.
        """

    @abstractmethod
    def terms(self, parts: Parts) -> dict[str, Tensor]:
        """The terms of the batch, scalars by name, without weights."""

    @abstractmethod
    def term_weights(self) -> dict[str, float]:
        """λ_k, at least 0, by the name of the term."""

    def penalties(self, values: dict[str, Tensor]) -> dict[str, Tensor]:
        """The penalties P_k, which are minimised; the terms themselves if smaller is better."""
        return values

    def weights(self) -> dict[str, float | Tensor]:
        """w_k = λ_k β_k by the name of the term."""
        return self.weighting.weights(self.term_weights())

    def weighted_terms(
        self,
        parts: Parts,
        weights: dict[str, float | Tensor] | None = None,
        share: float = 1.0,
    ) -> Terms:
        """The terms with their weights.

        Args:
            parts: from `forward_parts`.
            weights: by the name of the term; None for the current weights.
            share: the fraction of the batch that these images are, in (0, 1].
        """
        return self.weigh(self.terms(parts), parts, weights, share)

    def weigh(
        self,
        values: dict[str, Tensor],
        parts: Parts,
        weights: dict[str, float | Tensor] | None = None,
        share: float = 1.0,
    ) -> Terms:
        """The terms with their weights, from terms that have been computed already."""
        weights = self.weights() if weights is None else weights
        penalties = self.penalties(values).items()
        weighted = {name: weights[name] * (share * penalty) for name, penalty in penalties}
        return Terms(values, weighted, weights, parts.mask, parts.reconstruction)

    def weights_are_due(self, step: int) -> bool:
        """Whether `update_weights` must be called before the terms of this step are weighted."""
        return self.training and self.weighting.is_due(step)

    def update_weights(
        self, batches: Iterable[Losses], parameters: Iterable[nn.Parameter]
    ) -> Measured | None:
        """Let the weighting measure β.

        Args:
            batches: one batch as its micro-batches, computed one at a time: what each contributes
                to the classification loss and to every penalty, with its graph.
            parameters: the trained parameters.

        Returns:
            As `Weighting.update`.
        """
        return self.weighting.update(batches, parameters)

    def losses(self, cross_entropy: Tensor, parts: Parts, share: float = 1.0) -> Losses:
        """One micro-batch as `update_weights` takes it; terms of weight 0 are not measured."""
        weights = self.term_weights()
        penalties = {
            name: share * (each if weights[name] else each.detach())
            for name, each in self.penalties(self.terms(parts)).items()
        }
        return Losses(share * cross_entropy, penalties)

    @property
    def kind(self) -> LabelKind:
        """What the logits mean."""
        return KINDS[self.label_kind]

    def check_twice_differentiable(self, logits: Tensor) -> None:
        """Raise ValueError if the first logits cannot be differentiated twice."""
        if not self._graph_is_checked:
            check_graph(logits)
            self._graph_is_checked = True
