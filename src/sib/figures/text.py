"""Text that fits into a given width, so that no figure cuts it off."""

import re
from functools import cache

from matplotlib.font_manager import FontProperties, findfont, get_font

FILLED = 0.95
"""Share of the width that a line may take: drawing rounds each character's position."""

UNKNOWN = 1.0
"""Width of a character that the font lacks, in units of the font size."""


def fitted(text: str, width: float, size: float) -> str:
    """Break text into lines of at most a given width.

    Lines break between words, and inside a word that is wider than a line.

    Args:
        text: one line.
        width: in inches.
        size: font size in points.
    """
    limit = FILLED * width * 72 / size
    lines, line = [], ""
    for word in re.findall(r"\s*\S+", text):
        if _width(line + word) <= limit:
            line += word
            continue
        if line:
            lines.append(line)
        line = word.lstrip()
        while _width(line) > limit and len(line) > 1:
            kept = next((n for n in range(2, len(line)) if _width(line[:n]) > limit), len(line)) - 1
            lines.append(line[:kept])
            line = line[kept:]
    return "\n".join([*lines, line])


def _width(text: str) -> float:
    """Width in units of the font size."""
    return sum(map(_advance, text))


@cache
def _advance(character: str) -> float:
    font = get_font(findfont(FontProperties()))
    font.set_size(100, 72)
    if not font.get_char_index(ord(character)):  # drawn as a box
        return UNKNOWN
    return font.load_char(ord(character)).linearHoriAdvance / 65536 / 100
