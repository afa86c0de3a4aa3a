"""The figure that tells how good a classifier's decisions are: accuracy, or mAP."""

from collections.abc import Mapping
from typing import Any

MAP = "map_macro"


def label_entries(facts: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """mAP and F1 of an evaluation with their intervals; nothing where an image has one class.

    Evaluations from before intervals were computed hold plain numbers; their interval is None.
    """
    return {
        name: value if isinstance(value, dict) else {"mean": value, "low": None, "high": None}
        for name, value in facts.get("labels", {}).items()
    }


def headline(facts: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Name and figure: mAP where an image has several labels, else the accuracy.

    The share of images whose whole set of labels is right falls with the number of labels, and
    depends on the threshold.
    """
    labels = label_entries(facts)
    return ("mAP", labels[MAP]) if MAP in labels else ("accuracy", facts["accuracy"])
