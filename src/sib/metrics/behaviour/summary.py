"""The figures of an audit."""

from typing import Any

import torch
from torch import Tensor

from sib.metrics.behaviour.conditions import EXCHANGED, SAME_CLASS
from sib.metrics.behaviour.decision import worst_accuracy

VALUES = ("correct", "changed", "log_odds_change", "added")
"""Values of an image under a condition; ``added`` only with several labels an image."""


def conditions_of(table: dict[str, Tensor]) -> list[str]:
    """Names of the conditions in a table of `behaviour_of`, in order.

    Example:
        >>> import torch
        >>> from sib.metrics.behaviour import conditions_of
        >>> conditions_of({"correct": torch.ones(2), "blurred/correct": torch.ones(2)})
        ['blurred']
    """
    return [name.partition("/")[0] for name in table if name.endswith("/correct")]


def values_of(table: dict[str, Tensor]) -> tuple[list[str], Tensor]:
    """The values of each image, for intervals and paired differences.

    Args:
        table: of `behaviour_of` or `label_behaviour_of`.

    Returns:
        C names, ``"original/correct"`` and ``"CONDITION/VALUE"``, and (N, C) float64 values, NaN
        for an image without one. All are of the scored images, so that they can be compared.

    Example:
        >>> import torch
        >>> from sib.metrics.behaviour import values_of
        >>> nan, yes = float("nan"), torch.tensor([True, False])
        >>> table = {"correct": torch.ones(2), "scored": yes, "blurred/correct": torch.ones(2)}
        >>> names, values = values_of(table)
        >>> names, values.tolist()
        (['original/correct', 'blurred/correct'], [[1.0, 1.0], [nan, 1.0]])
    """
    names = [name for name in table if name.partition("/")[2] in VALUES]
    original = table["correct"].double().masked_fill(~table["scored"], torch.nan)
    columns = [original, *(table[name].double() for name in names)]
    return ["original/correct", *names], torch.stack(columns, dim=1)


def summarise(table: dict[str, Tensor]) -> dict[str, Any]:
    """Means over the images of an audit; see `MEASURES` for formulas, ranges and directions.

    Args:
        table: of `behaviour_of` or `label_behaviour_of`, or several joined by ``torch.cat``. With
            several labels an image, everything is about pairs of image and label, and
            ``accuracy`` is the recall of the labels; `chance_recall` is what to hold it against.

    Returns:
        ``images``, ``scored`` and ``left_out`` (counts); ``accuracy`` of all images;
        ``original``: ``accuracy``, ``worst_class``, ``worst_group`` of the scored images;
        ``conditions``: by name, the same with ``changed``, ``log_odds_change``, ``images`` (with a
        value) and ``without_value`` (scored, but the change is not possible);
        ``background_gap``: by way of filling, a mean over the images that have both values.
        ``worst_group`` is None where groups are not known; other figures are NaN where no image
        has a value.

    Source: Xiao et al. 2020 (arXiv 2006.09994); Sagawa et al. 2020 (worst group).

    Example:
        >>> import torch
        >>> from sib.metrics.behaviour import behaviour_of, summarise
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 2))
        >>> foreground = torch.zeros(4, 1, 4, 4).bool()
        >>> foreground[:3, :, 1:3, 1:3] = True
        >>> batch = torch.randn(4, 1, 4, 4), torch.tensor([0, 1, 0, 1]), foreground
        >>> found = summarise(behaviour_of(model, [batch], ["blurred"]))
        >>> found["scored"], found["left_out"], found["conditions"]["blurred"]["images"]
        (3, 1, 3)
    """
    scored = int(table["scored"].sum())
    original = table["correct"].double().masked_fill(~table["scored"], torch.nan)
    conditions = {}
    for name in conditions_of(table):
        correct = table[f"{name}/correct"]
        known = int((~correct.isnan()).sum())
        added = table.get(f"{name}/added")
        conditions[name] = _accuracies(correct, table) | {
            **({} if added is None else {"added": _mean(added)}),
            "changed": _mean(table[f"{name}/changed"]),
            "log_odds_change": _mean(table[f"{name}/log_odds_change"]),
            "images": known,
            "without_value": scored - known,
        }
    return {
        "images": len(table["label"]),
        "scored": scored,
        "left_out": len(table["label"]) - scored,
        "accuracy": _mean(table["correct"]),
        "original": _accuracies(original, table),
        "conditions": conditions,
        "background_gap": _gaps(table),
    }


def chance_recall(present: Tensor, decided: Tensor, labels: Tensor, images: Tensor) -> float:
    """Recall by guessing: how often each label is decided for in images that do not have it.

    mean over pairs (i, k) of f_k, with f_k the share of the images without the label k that are
    decided to have it. Where the objects of k are removed, an image no longer shows k. If what is
    left of it says nothing about k, the recall in such images is f_k. In [0, 1]; a label that all
    images have does not count.

    Args:
        present: bool (N, K), the labels of each pair's image.
        decided: bool (N, K), the labels that are decided for.
        labels: (N,) labels of the pairs, −1 for none.
        images: (N,) indices of the images, so that each counts once in f_k; the pairs of an image
            follow each other.

    Returns:
        NaN where no label is both had and lacked.

    Source: own; the false positive rate.

    Example:
        >>> import torch
        >>> from sib.metrics.behaviour import chance_recall
        >>> present = torch.tensor([[True, False], [False, True], [False, True]])
        >>> decided = torch.tensor([[True, False], [True, True], [False, True]])
        >>> labels, images = torch.tensor([0, 1, 1]), torch.arange(3)
        >>> round(chance_recall(present, decided, labels, images), 3)  # (1/2 + 0 + 0) / 3
        0.167
    """
    first = torch.ones(len(images), dtype=torch.bool)
    first[1:] = images[1:] != images[:-1]
    absent = ~present[first]
    rates = (absent & decided[first]).double().sum(dim=0) / absent.double().sum(dim=0)
    return _mean(rates[labels[labels >= 0]])


def _accuracies(correct: Tensor, table: dict[str, Tensor]) -> dict[str, Any]:
    groups = table.get("group")
    return {
        "accuracy": _mean(correct),
        "worst_class": worst_accuracy(correct, table["label"])._asdict(),
        "worst_group": None if groups is None else worst_accuracy(correct, groups)._asdict(),
    }


def _gaps(table: dict[str, Tensor]) -> dict[str, float]:
    gaps = {}
    for name in conditions_of(table):
        kind, _, fill = name.rpartition("_")
        other = f"{EXCHANGED}_{fill}/correct"
        if kind == SAME_CLASS and other in table:
            gaps[fill] = _mean(table[f"{name}/correct"] - table[other])
    return gaps


def _mean(values: Tensor) -> float:
    return float(values.double().nanmean())
