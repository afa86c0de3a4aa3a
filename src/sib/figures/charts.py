"""What the figures of a page share: colours, two themes, and how they are embedded in it."""

import base64
from collections.abc import Callable
from io import BytesIO
from typing import Any, NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Lightness and shape differ as well as hue, for readers who cannot tell the hues apart.
COLOURS = (
    *("#3b82b8", "#d97b3f", "#4f9d69", "#a06cc0", "#bf9b30"),
    *("#7d8790", "#c4526b", "#2f9e9e", "#8a5a3c", "#55579e"),
)
SHAPES = ("o", "s", "^", "D", "v", "P")
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


def keep_quiet(axis: Axes) -> None:
    """Give the axes a faint grid and no frame above and to the right."""
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)


def keep_to_shares(axis: Axes) -> None:
    """Limit both axes to 0 to 1, the range of a share, where wide intervals reach further."""
    (left, right), (bottom, top) = axis.get_xlim(), axis.get_ylim()
    axis.set_xlim(max(left, -0.02), min(right, 1.02))
    axis.set_ylim(max(bottom, -0.02), min(top, 1.02))


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
