"""An image and what each method shows in it, as one figure."""

import math
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from sib.figures.text import fitted
from sib.utils.files import write_whole

COLUMNS = 5
PANEL = 2.3
"""Width of a panel in inches."""
LINE = 0.2
"""Height of a line of text in inches."""
POSITIVE, SIGNED = "inferno", "RdBu_r"


def draw_overlays(
    path: Path, image: Tensor, maps: dict[str, Tensor], title: str, footer: str
) -> None:
    """Write a PNG of the image and each map over it.

    Args:
        path: the PNG to write.
        image: uint8 (3, H, W).
        maps: (H, W) by the method's title, scaled to [−1, 1].
        title: text above. Names with ``$`` are shown literally, and long text is broken into lines.
        footer: text below.
    """
    columns = min(COLUMNS, 1 + len(maps))
    rows = math.ceil((1 + len(maps)) / columns)
    width = PANEL * columns
    title, footer = fitted(title, width, 11), fitted(footer, width, 8)
    names = [fitted(method, PANEL, 10) for method in maps]
    lines = title.count("\n") + footer.count("\n")
    lines += rows * max((name.count("\n") for name in names), default=0)
    height = 2.45 * rows + 0.8 + LINE * lines
    figure = Figure(figsize=(width, height), layout="constrained", dpi=120)
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    axes.flat[0].imshow(image.permute(1, 2, 0).numpy())
    axes.flat[0].set_title("image", fontsize=10)
    for axis, name, attribution in zip(axes.flat[1:], names, maps.values(), strict=False):
        overlay(axis, image, attribution)
        axis.set_title(name, fontsize=10, parse_math=False)
    # a name may hold $, which matplotlib would read as mathematics
    figure.suptitle(title, fontsize=11, parse_math=False)
    figure.supxlabel(footer, fontsize=8, parse_math=False)
    content = BytesIO()
    figure.savefig(content, format="png")
    write_whole(path, content.getvalue())


def draw_grid(images: Tensor, maps: dict[str, Tensor], names: list[str]) -> bytes:
    """Draw a PNG with a row for each image: the image, and each map over it.

    Args:
        images: uint8 (B, 3, H, W).
        maps: (B, H, W) by the method's title, scaled to [−1, 1].
        names: (B,) names, left of the rows.
    """
    rows, columns = len(images), 1 + len(maps)
    figure = Figure(figsize=(2 * columns, 2.05 * rows + 0.3), layout="constrained", dpi=100)
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis, title in zip(axes[0], ["image", *maps], strict=True):
        axis.set_title(title, fontsize=9)
    for row, (image, name) in enumerate(zip(images, names, strict=True)):
        axes[row, 0].imshow(image.permute(1, 2, 0).numpy())
        axes[row, 0].set_ylabel(name, fontsize=8, parse_math=False)
        for axis, values in zip(axes[row, 1:], maps.values(), strict=True):
            overlay(axis, image, values[row])
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
    content = BytesIO()
    figure.savefig(content, format="png")
    return content.getvalue()


def draw_map(
    image: Tensor, attribution: Tensor, path: str | Path | None = None, title: str = ""
) -> Figure:
    """Draw a map over an image, beside the image itself.

    Args:
        image: uint8 (3, H, W).
        attribution: (H, W) on any scale; it is divided by its largest magnitude.
        path: a PNG to write; none by default.
        title: text above; ``$`` is shown literally.

    Returns:
        The figure; a notebook shows it.

    Raises:
        ValueError: an image or a map of a wrong kind or size, or a map that is not finite.

    Example:
        >>> import sib, torch
        >>> image = torch.zeros(3, 8, 8, dtype=torch.uint8)
        >>> figure = sib.figures.draw_map(image, torch.rand(8, 8), title="a photograph")
    """
    if image.ndim != 3 or len(image) != 3 or image.dtype != torch.uint8:
        raise ValueError(f"image must be uint8 (3, H, W); got {image.dtype} {tuple(image.shape)}")
    if attribution.shape != image.shape[1:]:
        raise ValueError(
            f"attribution must be {tuple(image.shape[1:])}, as the image; got "
            f"{tuple(attribution.shape)}"
        )
    if not attribution.isfinite().all():
        raise ValueError("attribution must be finite; it holds NaN or infinity")
    attribution = attribution.detach().cpu().double()
    width = 5.2
    title = fitted(title, width, 11)
    figure = Figure(figsize=(width, 2.9 + LINE * title.count("\n")), layout="constrained", dpi=120)
    left, right = figure.subplots(1, 2)
    left.imshow(image.cpu().permute(1, 2, 0).numpy())
    overlay(right, image.cpu(), attribution / attribution.abs().max().clamp_min(1e-300))
    for axis in (left, right):
        axis.set_axis_off()
    figure.suptitle(title, fontsize=11, parse_math=False)
    if path is not None:
        content = BytesIO()
        figure.savefig(content, format="png")
        write_whole(Path(path), content.getvalue())
    return figure


def overlay(axis: Axes, image: Tensor, attribution: Tensor) -> None:
    """Draw a map over a grey image; stronger values are more opaque.

    A map without negative values runs from dark to bright. One with both signs is red where it is
    positive and blue where it is negative.

    Args:
        axis: matplotlib axes to draw into.
        image: uint8 (3, H, W).
        attribution: (H, W), scaled to [−1, 1] as by `sib.explain.normalize_maps`; larger values
            look like 1.

    Example:
        >>> import matplotlib.figure, sib, torch
        >>> axis = matplotlib.figure.Figure().subplots()
        >>> sib.figures.overlay(axis, torch.zeros(3, 8, 8, dtype=torch.uint8), torch.rand(8, 8))
    """
    grey = image.double().mean(dim=0).numpy()
    axis.imshow(grey, cmap="gray", vmin=0, vmax=255)
    values = attribution.double().numpy()
    signed = bool((values < 0).any())
    axis.imshow(
        values,
        cmap=SIGNED if signed else POSITIVE,
        vmin=-1 if signed else 0,
        vmax=1,
        alpha=0.15 + 0.75 * np.abs(values).clip(0, 1),
    )
