"""Figures of a page: drawn for light and for dark mode, and embedded in it."""

import base64
from collections.abc import Callable
from io import BytesIO
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from sib.figures.text import fitted

# Lightness and shape differ as well as hue, for readers who cannot tell the hues apart.
COLOURS = (
    *("#3b82b8", "#d97b3f", "#4f9d69", "#a06cc0", "#bf9b30"),
    *("#7d8790", "#c4526b", "#2f9e9e", "#8a5a3c", "#55579e"),
)
SHAPES = ("o", "s", "^", "D", "v", "P")
DASHES = ("-", "--", "-.", ":")
EVEN = "#7d8790"
SVG_DASHES = {"-": "none", "--": "7 4", "-.": "8 3 2 3", ":": "2 3"}
INKED = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
INK = {"light": "#22272b", "dark": "#dfe3e6"}


class Picture(NamedTuple):
    """One figure as two data URIs, with a text for readers who cannot see it."""

    light: str
    dark: str
    alt: str


def both_themes(draw: Callable[[], Figure], alt: str) -> Picture:
    """Draw a figure in dark ink and in light ink, on a transparent background."""
    return Picture(_svg(draw, INK["light"]), _svg(draw, INK["dark"]), alt)


def curve_figure(
    runs: list[dict[str, Any]], title: str, label: str, value: Callable[[dict[str, Any]], Any]
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
    _quiet(axis)
    return figure


def legend(runs: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Name, colour and dashes (of an SVG stroke) of each group in `curve_figure`."""
    return [
        {
            "name": group,
            "colour": COLOURS[place % len(COLOURS)],
            "dashes": SVG_DASHES[DASHES[place % len(DASHES)]],
        }
        for place, group in enumerate(_groups(runs))
    ]


def _groups(runs: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(run["group"] for run in runs))


def scatter_figure(points: list[dict[str, Any]]) -> Figure:
    """Accuracy against localisation, one point per run, with intervals and the even map's energy.

    Args:
        points: those of `sib.evaluation.points.points`.
    """
    groups = list(dict.fromkeys(point["group"] for point in points))
    width = 5.6
    counts = {group: sum(point["group"] == group for point in points) for group in groups}
    labels = {
        group: fitted(f"{group} ({count} run{'s' * (count > 1)})", width - 0.6, 9)
        for group, count in counts.items()
    }
    lines = 1 + sum(1 + label.count("\n") for label in labels.values())
    figure = Figure(figsize=(width, 3.7 + 0.19 * lines), layout="constrained", dpi=120)
    axis = figure.subplots()
    for index, group in enumerate(groups):
        own = [point for point in points if point["group"] == group]
        axis.errorbar(
            [point["accuracy"] for point in own],
            [point["localisation"] for point in own],
            xerr=_reaches(own, "accuracy"),
            yerr=_reaches(own, "localisation"),
            label=labels[group],
            color=COLOURS[index % len(COLOURS)],
            marker=SHAPES[index % len(SHAPES)],
            markersize=6.8,
            linestyle="none",
            elinewidth=1,
            alpha=0.85,
        )
    if points:  # within the axes, so that a small difference looks small
        even = float(np.mean([point["even"] for point in points]))
        axis.axhline(even, color=EVEN, linestyle=":", label="an even map")
    axis.set_xlabel(points[0]["measure"] if points else "accuracy")
    axis.set_ylabel("energy inside the foreground,\nmean over methods")
    axis.margins(0.15)
    keep_to_shares(axis)
    _quiet(axis)
    if groups:  # below the axes, where a long name hides no point
        figure.legend(loc="outside lower left", frameon=False, fontsize=9)
    return figure


def keep_to_shares(axis: Axes) -> None:
    """Limit both axes to 0 to 1, the range of a share, where wide intervals reach further."""
    (left, right), (bottom, top) = axis.get_xlim(), axis.get_ylim()
    axis.set_xlim(max(left, -0.02), min(right, 1.02))
    axis.set_ylim(max(bottom, -0.02), min(top, 1.02))


def _reaches(points: list[dict[str, Any]], name: str) -> NDArray[np.float64]:
    """(2, N) how far the intervals reach below and above each point; 0 without an interval."""
    ends = [point[f"{name}_interval"] or (point[name], point[name]) for point in points]
    values = [point[name] for point in points]
    reaches = np.array([(v - low, high - v) for v, (low, high) in zip(values, ends, strict=True)])
    return reaches.clip(min=0).T


def _quiet(axis: Axes) -> None:
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)


def _svg(draw: Callable[[], Figure], ink: str) -> str:
    settings: Any = dict.fromkeys(INKED, ink) | {"text.parse_math": False}
    # a name may hold $, which matplotlib would read as mathematics
    with matplotlib.rc_context(settings):
        content = BytesIO()
        draw().savefig(content, format="svg", transparent=True, metadata={"Date": None})
    return data_uri("image/svg+xml", content.getvalue())


def data_uri(kind: str, content: bytes) -> str:
    """Bytes as a data URI."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
