"""The scatter of accuracy against localisation as a file."""

from io import BytesIO
from pathlib import Path
from typing import Any

from sib.files import write_whole
from sib.report.figures import scatter_figure


def draw_scatter(path: Path, points: list[dict[str, Any]]) -> None:
    """Write `scatter_figure` as a PNG."""
    content = BytesIO()
    scatter_figure(points).savefig(content, format="png")
    write_whole(path, content.getvalue())
