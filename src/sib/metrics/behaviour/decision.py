"""How a change of the image affects a decision, and the class or group with the lowest accuracy."""

from typing import NamedTuple

import torch
from torch import Tensor

from sib.functional import checks
from sib.functional.precision import to_float64


class Worst(NamedTuple):
    """The class or group with the lowest accuracy.

    Example:
        >>> import torch
        >>> from sib.metrics.behaviour import worst_accuracy
        >>> worst = worst_accuracy(torch.tensor([1.0, 0.0]), torch.tensor([0, 1]))
        >>> worst.group, worst.accuracy
        (1, 0.0)
    """

    accuracy: float
    """In [0, 1], NaN if nothing is known."""
    group: int
    """Its number, −1 if nothing is known."""
    images: int
    """Its number of images."""


def log_odds(logits: Tensor, classes: Tensor) -> Tensor:
    """Log-odds of a class against all others.

    ℓ_t = log p_t / (1 − p_t) = z_t − log Σ_{k ≠ t} exp z_k, computed without p, which rounds to 1.
    In ℝ, larger means more certain of t.

    Args:
        logits: z, (B, K), K at least 2.
        classes: t, (B,), whole numbers in [0, K).

    Returns:
        (B,), float64 where the device has it.

    Raises:
        ValueError: the shapes do not match, or there is one class only.

    Source: the definition.

    Example:
        >>> import torch
        >>> from sib.metrics.behaviour import log_odds
        >>> log_odds(torch.tensor([[3.0, 1.0]]), torch.tensor([0])).item()
        2.0
    """
    if logits.ndim != 2 or logits.shape[1] < 2 or classes.shape != logits.shape[:1]:
        raise ValueError(
            "logits must be (B, K) of at least two classes, and classes (B,); got "
            f"{checks.shape(logits)} and {checks.shape(classes)}"
        )
    chosen = classes[:, None]
    values = to_float64(logits)
    others = values.scatter(1, chosen, -torch.inf).logsumexp(dim=1)
    return values.gather(1, chosen).squeeze(1) - others


def worst_accuracy(correct: Tensor, groups: Tensor) -> Worst:
    """The lowest accuracy of any class or group.

    min_g mean_{i in group g} correct_i. In [0, 1], larger is better. A mean over all images can
    hide a group that is always wrong. If groups share the lowest accuracy, the first is named.

    Args:
        correct: (N,), 1 or 0, NaN for an image without a value, which is left out.
        groups: (N,), whole numbers; a negative one is an image of no known group.

    Returns:
        `Worst`.

    Raises:
        ValueError: the shapes do not match.

    Source: Sagawa et al. 2020, Distributionally robust neural networks for group shifts.

    Example:
        >>> import torch
        >>> from sib.metrics.behaviour import worst_accuracy
        >>> worst_accuracy(torch.tensor([1.0, 1.0, 0.0, 1.0]), torch.tensor([4, 4, 7, 7]))
        Worst(accuracy=0.5, group=7, images=2)
    """
    if correct.ndim != 1 or correct.shape != groups.shape:
        raise ValueError(
            f"correct and groups must both be (N,); got {checks.shape(correct)} and "
            f"{checks.shape(groups)}"
        )
    known = ~correct.isnan() & (groups >= 0)
    numbers, members = groups[known].unique(return_inverse=True)
    if not len(numbers):
        return Worst(float("nan"), -1, 0)
    sizes = members.bincount()
    accuracies = members.bincount(weights=to_float64(correct[known])) / sizes
    lowest = int(accuracies.argmin())
    return Worst(float(accuracies[lowest]), int(numbers[lowest]), int(sizes[lowest]))
