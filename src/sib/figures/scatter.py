"""The scatter of accuracy against localisation."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from sib.figures.charts import COLOURS, SHAPES, keep_quiet, keep_to_shares
from sib.figures.text import fitted
from sib.utils.files import write_whole

EVEN = "#7d8790"
"""Colour of the line of an even map."""


def draw_scatter(path: Path, points: list[dict[str, Any]]) -> None:
    """Write `scatter_figure` as a PNG."""
    content = BytesIO()
    scatter_figure(points).savefig(content, format="png")
    write_whole(path, content.getvalue())


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
    keep_quiet(axis)
    if groups:  # below the axes, where a long name hides no point
        figure.legend(loc="outside lower left", frameon=False, fontsize=9)
    return figure


def _reaches(points: list[dict[str, Any]], name: str) -> NDArray[np.float64]:
    """(2, N) how far the intervals reach below and above each point; 0 without an interval."""
    ends = [point[f"{name}_interval"] or (point[name], point[name]) for point in points]
    values = [point[name] for point in points]
    reaches = np.array([(v - low, high - v) for v, (low, high) in zip(values, ends, strict=True)])
    return reaches.clip(min=0).T
