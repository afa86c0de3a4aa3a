"""Curves over the epochs: what each run logged while it trained."""

from collections.abc import Callable
from typing import Any

from sib.figures.charts import Picture, both_themes, curve_figure


def _selection(record: dict[str, Any]) -> dict[str, Any]:
    """What an epoch measured on validation, or on test where the run chose its epoch there."""
    return record.get("validation") or record.get("test") or {}


Quantity = tuple[str, str, Callable[[dict], Any]]
QUANTITIES: list[Quantity] = [
    ("cross-entropy on the training images", "nats", lambda e: e.get("cross_entropy")),
    ("accuracy on the split that chooses the epoch", "", lambda e: _selection(e).get("accuracy")),
    (
        "foreground energy of the VJP on that split",
        "",
        lambda e: _selection(e).get("foreground_energy"),
    ),
    ("gradient of the method's terms over cross-entropy's", "", lambda e: e.get("gradient_ratio")),
    (
        "gradient of the foreground term over cross-entropy's",
        "",
        lambda e: e.get("foreground_gradient_ratio"),
    ),
    (
        "gradient of the background term over cross-entropy's",
        "",
        lambda e: e.get("background_gradient_ratio"),
    ),
    ("scale of R", "mean of |R|", lambda e: e.get("reconstruction_scale")),
    ("mask: area above 0.5", "share of the pixels", lambda e: e.get("mask_area")),
    ("mask: area between 0.1 and 0.9", "share of the pixels", lambda e: e.get("mask_softness")),
]


def curves(runs: list[dict[str, Any]]) -> list[Picture]:
    """A figure for each quantity that any run has logged.

    Args:
        runs: each with ``name``, ``group`` and ``epochs``, the records of ``metrics.jsonl``.
    """
    return [
        _curve(runs, quantity)
        for quantity in QUANTITIES
        if any(quantity[2](record) is not None for run in runs for record in run["epochs"])
    ]


def _curve(runs: list[dict[str, Any]], quantity: Quantity) -> Picture:
    title, _, value = quantity
    known = {run["name"]: [value(e) for e in run["epochs"]] for run in runs}
    last = "; ".join(
        f"{name} ends at {values[-1]:.3g}"
        for name, values in known.items()
        if values[-1] is not None
    )
    return both_themes(lambda: curve_figure(runs, *quantity), f"{title} over the epochs. {last}.")
