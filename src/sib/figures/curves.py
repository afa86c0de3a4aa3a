"""Curves over the epochs: what each run logged during training."""

from collections.abc import Callable
from functools import partial
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sib.figures.charts import COLOURS, Picture, both_themes, keep_quiet
from sib.figures.text import fitted

Runs = list[dict[str, Any]]
"""Runs, each with ``name``, ``group`` and ``epochs``, the records of ``metrics.jsonl``."""
Quantity = tuple[str, str, Callable[[dict[str, Any]], Any]]
"""Title, unit, and a function that takes the quantity from a record."""
DASHES = ("-", "--", "-.", ":")
SVG_DASHES = {"-": "none", "--": "7 4", "-.": "8 3 2 3", ":": "2 3"}
CONSTANT = 0.01
"""A quantity that changes by less than this share of its magnitude gets no figure."""


def _selection(record: dict[str, Any]) -> dict[str, Any]:
    """What an epoch measured on validation, or on test if the run chose its epoch there."""
    return record.get("validation") or record.get("test") or {}


def _of_term(group: str, name: str, record: dict[str, Any]) -> Any:
    return record.get(group, {}).get(name)


def _of_record(key: str, record: dict[str, Any]) -> Any:
    return record.get(key)


MAIN: list[Quantity] = [
    ("cross-entropy on the training images", "nats", lambda e: e.get("cross_entropy")),
    ("accuracy on the split that chooses the epoch", "", lambda e: _selection(e).get("accuracy")),
    ("mAP on the split that chooses the epoch", "", lambda e: _selection(e).get("map_macro")),
    (
        "energy of the VJP inside the foreground, same split",
        "",
        lambda e: _selection(e).get("foreground_energy"),
    ),
]
DETAIL: list[Quantity] = [
    ("gradient of the method's terms over cross-entropy's", "", lambda e: e.get("gradient_ratio")),
    ("scale of R", "mean of |R|", lambda e: e.get("reconstruction_scale")),
    ("mask: area above 0.5", "share of the pixels", lambda e: e.get("mask_area")),
    ("mask: area between 0.1 and 0.9", "share of the pixels", lambda e: e.get("mask_softness")),
]
BY_TERM = (
    ("term {}", "", "terms"),
    ("weight of term {}", "", "weights"),
)


def curves(runs: Runs) -> list[Picture]:
    """What every method has: one figure for each quantity that changes in some run."""
    return _drawn(runs, MAIN)


def term_curves(runs: Runs) -> list[Picture]:
    """What a method logs about its own terms: one figure for each quantity that changes."""
    records = [record for run in runs for record in run["epochs"]]
    names = list(dict.fromkeys(name for record in records for name in record.get("terms", {})))
    found: list[Quantity] = []
    for name in names:
        for title, unit, group in BY_TERM:
            found.append((title.format(name), unit, partial(_of_term, group, name)))
        ratio = f"{name}_gradient_ratio"
        title = f"gradient of term {name} over cross-entropy's"
        found.append((title, "", partial(_of_record, ratio)))
    return _drawn(runs, found + DETAIL)


def _drawn(runs: Runs, quantities: list[Quantity]) -> list[Picture]:
    return [_curve(runs, quantity) for quantity in quantities if _changes(runs, quantity[2])]


def _changes(runs: Runs, value: Callable[[dict[str, Any]], Any]) -> bool:
    """Whether any run has a curve to draw that is not level."""
    for run in runs:
        known = [value(record) for record in run["epochs"] if value(record) is not None]
        if known and max(known) - min(known) > CONSTANT * max(abs(max(known)), abs(min(known))):
            return True
    return False


def _curve(runs: Runs, quantity: Quantity) -> Picture:
    title, _, value = quantity
    known = {run["name"]: [value(e) for e in run["epochs"]] for run in runs}
    last = "; ".join(
        f"{name} ends at {values[-1]:.3g}"
        for name, values in known.items()
        if values[-1] is not None
    )
    return both_themes(lambda: curve_figure(runs, *quantity), f"{title} over the epochs. {last}.")


def curve_figure(
    runs: Runs, title: str, label: str, value: Callable[[dict[str, Any]], Any]
) -> Figure:
    """One quantity over the epochs, one line per run; runs of a group share a colour.

    The groups' names are not drawn: `legend` gives them for all figures of a page at once.

    Args:
        runs: each with ``name``, ``group`` and ``epochs``, the records of ``metrics.jsonl``.
        title: the figure's title.
        label: the axis label.
        value: takes the quantity from a record, or returns None.
    """
    figure = Figure(figsize=(4.4, 3), layout="constrained")
    axis = figure.subplots()
    for place, group in enumerate(_groups(runs)):
        for run in (run for run in runs if run["group"] == group):
            known = [(e["epoch"], value(e)) for e in run["epochs"] if value(e) is not None]
            axis.plot(
                *zip(*known, strict=True) if known else ([], []),
                color=COLOURS[place % len(COLOURS)],
                linestyle=DASHES[place % len(DASHES)],
                linewidth=1.6,
                alpha=0.9,
            )
    axis.set_title(fitted(title, 3.8, 10), fontsize=10)
    axis.set_xlabel("epoch")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.ticklabel_format(axis="y", useOffset=False)
    axis.set_ylabel(label)
    keep_quiet(axis)
    return figure


def legend(runs: Runs) -> list[dict[str, str]]:
    """Name, colour and dashes (of an SVG stroke) of each group in `curve_figure`."""
    return [
        {
            "name": group,
            "colour": COLOURS[place % len(COLOURS)],
            "dashes": SVG_DASHES[DASHES[place % len(DASHES)]],
        }
        for place, group in enumerate(_groups(runs))
    ]


def _groups(runs: Runs) -> list[str]:
    return list(dict.fromkeys(run["group"] for run in runs))
