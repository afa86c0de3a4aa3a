"""The scatter of accuracy against localisation as a file."""

from io import BytesIO
from pathlib import Path
from typing import Any

from sib.figures.charts import scatter_figure
from sib.utils.files import write_whole


def draw_scatter(path: Path, points: list[dict[str, Any]]) -> None:
    """Write `scatter_figure` as a PNG."""
    content = BytesIO()
    scatter_figure(points).savefig(content, format="png")
    write_whole(path, content.getvalue())
