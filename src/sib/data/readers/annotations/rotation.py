"""Boxes and ellipses that are turned in the plane of the image."""

import math

from sib.data.readers.annotations.entry import number, shown
from sib.data.sample import Box
from sib.data.shapes import Polygon
from sib.utils.errors import InputError

CORNERS = 128
"""Corners of the polygon that an ellipse is drawn as."""
ANGLES = ("rotation", "angle", "theta", "rot")
"""Names under which tables and files give an angle without its unit and direction."""


def rotated(box: Box, degrees: float, about: tuple[float, float] | None = None) -> Box | Polygon:
    """A box, turned clockwise as seen on the image, whose y axis points down.

    A corner at p + (u, v) moves to p + (u cos φ − v sin φ, u sin φ + v cos φ).

    Args:
        box: before it is turned, in pixels.
        degrees: the angle φ.
        about: the point p that stays in place; None for the centre of the box.
    """
    if degrees % 360 == 0:
        return box
    middle = (box.left + box.width / 2, box.top + box.height / 2)
    right, bottom = box.left + box.width, box.top + box.height
    corners = [(box.left, box.top), (right, box.top), (right, bottom), (box.left, bottom)]
    return Polygon(_turned(corners, degrees, about or middle))


def ellipse(x: float, y: float, across: float, down: float, degrees: float = 0) -> Polygon:
    """An ellipse around (x, y) with half-axes ``across`` and ``down``, turned as in `rotated`."""
    angles = [2 * math.pi * corner / CORNERS for corner in range(CORNERS)]
    points = [(x + across * math.cos(a), y + down * math.sin(a)) for a in angles]
    return Polygon(_turned(points, degrees, (x, y)) if degrees else tuple(points))


def angle(value: object, what: str, where: str) -> float:
    """Degrees of a rotation; 0 where there is none.

    Raises:
        InputError: the value is not a number.
    """
    return 0.0 if value is None else number(value, what, where)


def check_angles(entry: dict[str, object], where: str) -> None:
    """Raise InputError if a box comes with an angle whose unit and direction are not known."""
    for name in ANGLES:
        try:
            found = float(entry.get(name) or 0)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):  # a word, as of a camera's angle
            continue
        if found:
            raise InputError(
                f"{where}: the box is turned ({name} {shown(entry[name])}), with an unknown unit "
                "and direction; export the outlines of turned boxes as polygons"
            )


def _turned(
    points: list[tuple[float, float]], degrees: float, about: tuple[float, float]
) -> tuple[tuple[float, float], ...]:
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    x, y = about
    return tuple(
        # a quarter turn keeps whole numbers whole
        (
            round(x + (u - x) * cosine - (v - y) * sine, 9),
            round(y + (u - x) * sine + (v - y) * cosine, 9),
        )
        for u, v in points
    )
