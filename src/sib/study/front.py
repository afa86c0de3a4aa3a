"""The front of accuracy and localisation as a figure."""

from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from sib.figures.charts import COLOURS, SHAPES, keep_to_shares
from sib.study.summary import ACCURACY, MEAN
from sib.utils.files import write_whole


def draw_front(path: Path, found: dict[str, Any]) -> bool:
    """Write the figure of ``study.json`` as a PNG.

    Returns:
        Whether there was anything to draw: without annotation, localisation is unknown.
    """
    points = front_points(found)
    if not points:
        return False
    content = BytesIO()
    # a setting's name may hold $, which matplotlib would read as mathematics
    with matplotlib.rc_context({"text.parse_math": False}):
        front_figure(points).savefig(content, format="png")
    write_whole(path, content.getvalue())
    return True


def front_points(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Name, accuracy and localisation of each setting, and whether it is on the front."""
    points = [
        {"name": item["name"], "x": item["figures"][ACCURACY], "y": item["figures"][MEAN]}
        for item in found["settings"]
        if item["figures"] and MEAN in item["figures"]
    ]
    places = [(point["x"]["mean"], point["y"]["mean"]) for point in points]
    return [
        point | {"on_front": not any(_better(other, place) for other in places)}
        for point, place in zip(points, places, strict=True)
    ]


def _better(other: tuple[float, float], place: tuple[float, float]) -> bool:
    return other != place and all(a >= b for a, b in zip(other, place, strict=True))


def front_figure(points: list[dict[str, Any]]) -> Figure:
    """Accuracy against localisation with 95 % intervals; a line joins the settings on the front.

    Args:
        points: as returned by `front_points`.
    """
    figure = Figure(figsize=(6.4, 4.2 + 0.1 * (len(points) + 1)), layout="constrained", dpi=120)
    axis = figure.subplots()
    front = sorted((p["x"]["mean"], p["y"]["mean"]) for p in points if p["on_front"])
    axis.plot(*zip(*front, strict=True), color="#7d8790", linestyle=":", linewidth=1.2, zorder=1)
    for index, point in enumerate(points):
        axis.errorbar(
            point["x"]["mean"],
            point["y"]["mean"],
            xerr=_half_widths(point["x"]),
            yerr=_half_widths(point["y"]),
            label=point["name"],
            color=COLOURS[index % len(COLOURS)],
            marker=SHAPES[(index + index // len(COLOURS)) % len(SHAPES)],
            linestyle="none",
            elinewidth=1,
            capsize=2,
        )
    axis.set_xlabel("accuracy on test")
    axis.set_ylabel("energy inside the foreground,\nmean over methods")
    axis.margins(0.12)
    keep_to_shares(axis)
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    # below the axes, where it hides no point
    figure.legend(loc="outside lower left", ncols=2, frameon=False, fontsize=8)
    return figure


def _half_widths(entry: dict[str, Any]) -> list[list[float]] | None:
    if entry["low"] is None:
        return None
    return [[entry["mean"] - entry["low"]], [entry["high"] - entry["mean"]]]
