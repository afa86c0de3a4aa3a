"""A sheet of images with their foregrounds outlined and a line of text under each."""

import math
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure
from torch import Tensor

from sib.figures.picture import outline
from sib.figures.text import fitted
from sib.utils.files import write_whole

COLUMNS = 6
PANEL = 2.0
"""Width of a picture in inches."""
LINE = 0.14
"""Height of a caption line in inches."""


class Picture(NamedTuple):
    """One picture of a sheet."""

    image: Tensor
    """uint8 (3, H, W)."""
    foreground: Tensor | None
    """bool (1, H, W)."""
    caption: str


def draw_sheet(path: Path, title: str, pictures: list[Picture]) -> None:
    """Write a PNG of pictures, row by row; after an error nothing is left behind.

    Args:
        path: the PNG to write.
        title: text above the pictures.
        pictures: at least one.
    """
    columns = min(COLUMNS, len(pictures))
    rows = math.ceil(len(pictures) / columns)
    width = PANEL * max(columns, 3)
    title = fitted(title, width, 10)
    captions = [fitted(picture.caption, width / columns, 7) for picture in pictures]
    lines = title.count("\n") + rows * max(caption.count("\n") for caption in captions)
    height = 2.15 * rows + 0.5 + LINE * lines
    figure = Figure(figsize=(width, height), layout="constrained", dpi=110)
    figure.suptitle(title, fontsize=10, parse_math=False)
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, picture, caption in zip(axes.flat, pictures, captions, strict=False):
        axis.imshow(picture.image.permute(1, 2, 0).numpy())
        outline(axis, picture.foreground)
        axis.annotate(
            caption,
            (0.5, 0),
            (0, -3),
            xycoords="axes fraction",
            textcoords="offset points",
            ha="center",
            va="top",
            fontsize=7,
            parse_math=False,
        )
    content = BytesIO()
    figure.savefig(content, format="png")
    write_whole(path, content.getvalue())
