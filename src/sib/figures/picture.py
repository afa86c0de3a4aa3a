"""A picture of images, foregrounds, VJPs and masks."""

from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.figure import Figure
from torch import Tensor


class Column(NamedTuple):
    """What one model shows for a batch of images."""

    name: str
    strength: Tensor
    """(B, H, W), Σ_c |R|."""
    mask: Tensor
    """(B, H, W), the foreground found from R."""


def draw_columns(
    path: Path, images: Tensor, foregrounds: list[Tensor | None], columns: list[Column]
) -> None:
    """Write one row per image: the image with its foreground outlined, then each model's maps.

    Args:
        path: of the PNG.
        images: uint8 (B, 3, H, W).
        foregrounds: B of bool (1, H, W), or None.
        columns: two panels each, the VJP (each image scaled to its own 99.5th percentile) and the
            mask M (0 to 1).
    """
    titles = ["image, foreground outlined"]
    titles += [f"{column.name}: {what}" for column in columns for what in ("VJP Σ|R|", "mask M")]
    rows, width = len(images), len(titles)
    figure = Figure(figsize=(2.1 * width, 2.05 * rows + 0.5), layout="constrained", dpi=110)
    axes = figure.subplots(rows, width, squeeze=False)
    for row, (image, foreground) in enumerate(zip(images, foregrounds, strict=True)):
        axes[row, 0].imshow(image.permute(1, 2, 0).numpy())
        outline(axes[row, 0], foreground)
        for index, column in enumerate(columns):
            strength, mask = column.strength[row], column.mask[row]
            top = strength.flatten().double().quantile(0.995).item() or 1.0
            axes[row, 1 + 2 * index].imshow(strength.numpy(), cmap="magma", vmin=0, vmax=top)
            axes[row, 2 + 2 * index].imshow(mask.detach().numpy(), cmap="gray", vmin=0, vmax=1)
            outline(axes[row, 1 + 2 * index], foreground)
            outline(axes[row, 2 + 2 * index], foreground)
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=9)
    figure.savefig(path)


def outline(axis: Any, foreground: Tensor | None) -> None:
    """Draw the outline of a foreground, bool (1, H, W), where it has any pixel."""
    if foreground is not None and bool(foreground.any()):
        axis.contour(foreground[0].float().numpy(), levels=[0.5], colors="#00d5ff", linewidths=0.8)
