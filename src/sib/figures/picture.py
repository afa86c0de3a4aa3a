"""A picture of images and of what each model looks at in them."""

from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from sib.figures.text import fitted
from sib.utils.files import write_whole

PANEL, LABEL = 1.3, 0.3
"""Side of a panel in inches, and height of the line above a row."""
PLATE, OUTLINE = "#fdfdfc", "#00d5ff"


class Lane(NamedTuple):
    """What one model shows for a batch of images."""

    title: str
    strength: Tensor
    """(B, H, W), not negative: Σ_c |R|."""


def draw_lanes(
    path: Path, images: Tensor, foregrounds: list[Tensor | None], title: str, lanes: list[Lane]
) -> None:
    """Write a row of images, and a row of maps for each model below it.

    Args:
        path: the PNG to write.
        images: uint8 (B, 3, H, W).
        foregrounds: B of bool (1, H, W), or None; outlined in every panel.
        title: text above the images.
        lanes: the rows; each map is scaled to its own 99.5th percentile.
    """
    width, rows = PANEL * len(images), 1 + len(lanes)
    figure = Figure(
        figsize=(width, (PANEL + LABEL) * rows), layout="constrained", dpi=110, facecolor=PLATE
    )
    parts = figure.subfigures(rows, 1, squeeze=False)[:, 0]
    for part, name in zip(parts, [title, *(lane.title for lane in lanes)], strict=True):
        part.set_facecolor(PLATE)
        part.suptitle(fitted(name, width, 10), x=0.01, ha="left", fontsize=10, parse_math=False)
    for axis, image in zip(_axes(parts[0], foregrounds), images, strict=True):
        axis.imshow(image.permute(1, 2, 0).numpy())
    for part, lane in zip(parts[1:], lanes, strict=True):
        for axis, strength in zip(_axes(part, foregrounds), lane.strength, strict=True):
            top = strength.flatten().double().quantile(0.995).item() or 1.0
            axis.imshow(strength.numpy(), cmap="magma", vmin=0, vmax=top)
    content = BytesIO()
    figure.savefig(content, format="png", facecolor=PLATE)
    write_whole(path, _with_palette(content))


def _with_palette(content: BytesIO) -> bytes:
    """The PNG with 256 colours, about a third of the size."""
    small = BytesIO()
    with Image.open(content) as image:
        image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(
            small, format="PNG", optimize=True
        )
    return small.getvalue()


def _axes(part: Any, foregrounds: list[Tensor | None]) -> list[Any]:
    """One panel per image, its foreground outlined."""
    axes = list(part.subplots(1, len(foregrounds), squeeze=False)[0])
    for axis, foreground in zip(axes, foregrounds, strict=True):
        axis.set_axis_off()
        outline(axis, foreground)
    return axes


def outline(axis: Any, foreground: Tensor | None) -> None:
    """Draw the outline of a foreground, bool (1, H, W), if it has any pixel."""
    if foreground is not None and bool(foreground.any()):
        axis.contour(foreground[0].float().numpy(), levels=[0.5], colors=OUTLINE, linewidths=0.9)
