"""What the outputs of a classifier mean: one class of many, several labels, or one yes-or-no logit.

Everything that depends on it is here, so that objectives, explanations and metrics ask a
`LabelKind` and have no cases of their own. A single logit z, a binary classifier, is the softmax
over the classes (negative, positive) with the logits (−z/2, z/2): the same probabilities 1 − σ(z)
and σ(z), the same cross-entropy, the same R.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sib.functional import checks
from sib.functional.precision import to_float64

THRESHOLD = 0.5
"""Probability above which a label counts as present; a logit above 0."""
BINARY_CLASSES = ("negative", "positive")


class LabelKind(ABC):
    """How logits (B, K) become probabilities, decisions and the scalars that R is made of.

    All methods but `class_logits` take what it gives.
    """

    name: ClassVar[str]

    def class_logits(self, logits: Tensor) -> Tensor:
        """(B, K), a logit for each class that can be explained; K classes have K of them."""
        return logits

    @abstractmethod
    def probabilities(self, logits: Tensor) -> Tensor:
        """(B, K) in [0, 1]."""

    @abstractmethod
    def decided(self, logits: Tensor) -> Tensor:
        """Bool (B, K), the classes that the network decides for."""

    @abstractmethod
    def half_squares(self, logits: Tensor) -> Tensor:
        """½ Σ p² over the outcomes of an image, (B,): the published R is its gradient."""

    @abstractmethod
    def half_squares_cotangent(self, logits: Tensor) -> Tensor:
        """Its gradient with respect to the logits, (B, K), in float64."""

    @abstractmethod
    def margin(self, logits: Tensor) -> Tensor:
        """Log-odds of the decision, (B,): the calibrated R is its gradient."""

    @abstractmethod
    def log_probabilities(self, logits: Tensor) -> Tensor:
        """Logarithms of the probabilities of all outcomes, (B, K) or (B, 2K)."""

    @abstractmethod
    def true_score(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Sum of the logits of an image's own labels, (B,)."""

    def divergence(self, logits: Tensor, other: Tensor) -> Tensor:
        """KL divergence of the outcomes of ``logits`` to those of ``other``, (B,)."""
        own, changed = self.log_probabilities(logits), self.log_probabilities(other)
        return F.kl_div(changed, own, reduction="none", log_target=True).sum(dim=1)

    def decides(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Bool (B,), whether the network decides for the target (B,) of each image."""
        return self.decided(logits).gather(1, targets[:, None]).squeeze(1)


class SingleLabel(LabelKind):
    """One class of K: p = softmax(z), the decision t = argmax z."""

    name = "single"

    def class_logits(self, logits: Tensor) -> Tensor:
        """The same; for a single one z, (B, 1), those of its two classes, (−z/2, z/2)."""
        if logits.shape[1] != 1:
            return logits
        return torch.cat([-logits / 2, logits / 2], dim=1)

    def probabilities(self, logits: Tensor) -> Tensor:
        """The softmax."""
        return logits.softmax(dim=1)

    def decided(self, logits: Tensor) -> Tensor:
        """The class of the largest logit alone."""
        top = logits.argmax(dim=1, keepdim=True)
        return torch.zeros_like(logits, dtype=torch.bool).scatter_(1, top, True)

    def half_squares(self, logits: Tensor) -> Tensor:
        """½ Σ_k p_k²."""
        return 0.5 * logits.softmax(dim=1).square().sum(dim=1)

    def half_squares_cotangent(self, logits: Tensor) -> Tensor:
        """p ∘ (p − ‖p‖²)."""
        p = to_float64(logits).softmax(dim=1)
        return p * (p - p.square().sum(dim=1, keepdim=True))

    def margin(self, logits: Tensor) -> Tensor:
        """log(p_t / (1 − p_t)) = z_t − log Σ_{k≠t} exp z_k."""
        top = logits.detach().argmax(dim=1, keepdim=True)
        others = logits.scatter(1, top, -torch.inf).logsumexp(dim=1)
        return logits.gather(1, top).squeeze(1) - others

    def log_probabilities(self, logits: Tensor) -> Tensor:
        """log p, (B, K)."""
        return logits.log_softmax(dim=1)

    def true_score(self, logits: Tensor, labels: Tensor) -> Tensor:
        """z_y; labels (B,)."""
        return logits.gather(1, labels[:, None]).squeeze(1)


class MultiLabel(LabelKind):
    """Any of K labels: p = σ(z), each label a decision of its own between present and absent.

    Every formula is that of `SingleLabel` for two outcomes with the probabilities p_k and 1 − p_k,
    summed over the labels. With K = 1 they are those of a single logit.

    **The published R.** ½ Σ p² over the two outcomes of each label, ½ Σ_k (p_k² + (1 − p_k)²). Its
    gradient with respect to z_k is (2 p_k − 1) p_k (1 − p_k). As for the softmax, it vanishes where
    a label is undecided, p_k = ½, and where it is certain.

    **The calibrated R.** For the softmax, p_t / (1 − p_t) is the odds of the decision against all
    other decisions. Here the decision is a set D of labels, with P(D) = Π_k σ(|z_k|), and the
    decisions that differ from it are weighed by one changed label: a set with label k changed has
    P = P(D) exp(−|z_k|). So the log-odds are −log Σ_k exp(−|z_k|). The gradient with respect to z_k
    is sign(z_k) w_k with w = softmax(−|z|), so that its absolute values sum to 1 whatever K is, and
    many labels that are certainly absent do not outweigh the few that are in question. For one
    label it is |z|, the log-odds of the decision.
    """

    name = "multi"

    def probabilities(self, logits: Tensor) -> Tensor:
        """σ(z)."""
        return logits.sigmoid()

    def decided(self, logits: Tensor) -> Tensor:
        """The labels with p > ½."""
        return logits > 0

    def half_squares(self, logits: Tensor) -> Tensor:
        """½ Σ_k (p_k² + (1 − p_k)²)."""
        return 0.5 * (logits.sigmoid().square() + (-logits).sigmoid().square()).sum(dim=1)

    def half_squares_cotangent(self, logits: Tensor) -> Tensor:
        """(2 p − 1) ∘ p ∘ (1 − p)."""
        z = to_float64(logits)
        return (z / 2).tanh() * z.sigmoid() * (-z).sigmoid()

    def margin(self, logits: Tensor) -> Tensor:
        """−log Σ_k exp(−|z_k|)."""
        # torch's |z| has no gradient at 0, where a label counts as absent
        distance = torch.where(logits > 0, logits, -logits)
        return -(-distance).logsumexp(dim=1)

    def log_probabilities(self, logits: Tensor) -> Tensor:
        """log p and log(1 − p) of every label, (B, 2K)."""
        return torch.cat([F.logsigmoid(logits), F.logsigmoid(-logits)], dim=1)

    def true_score(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Σ_k y_k z_k; −Σ_k z_k for an image without a label. Labels (B, K), 0 or 1."""
        present = labels.to(logits.dtype)
        weights = torch.where(present.any(dim=1, keepdim=True), present, -1)
        return (weights * logits).sum(dim=1)


KINDS: dict[str, LabelKind] = {kind.name: kind for kind in (SingleLabel(), MultiLabel())}
SINGLE, MULTI = KINDS["single"], KINDS["multi"]


def set_label_kind(model: nn.Module, kind: str) -> nn.Module:
    """Say what the outputs of a model mean, for explanations and metrics that are made of it.

    Args:
        model: classifier (B, C, H, W) → (B, K).
        kind: ``"single"``, one class of K, or ``"multi"``, any of K labels. A model with one logit
            is recognised as a binary classifier without it.

    Returns:
        The model itself.

    Raises:
        ValueError: there is no such kind.
    """
    checks.choice("kind", kind, KINDS)
    model.sib_label_kind = kind  # type: ignore[assignment]
    return model


def kind_of(model: nn.Module) -> LabelKind:
    """What the outputs of a model mean; one class of K where `set_label_kind` was not called."""
    return KINDS[str(getattr(model, "sib_label_kind", "single"))]
