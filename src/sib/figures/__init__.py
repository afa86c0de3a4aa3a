"""Everything that matplotlib draws."""

from sib.figures.overlay import draw_map, overlay

__all__ = ["draw_map", "overlay"]


def __dir__() -> list[str]:
    return sorted(__all__)
