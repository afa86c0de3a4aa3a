"""Whether the boxes of a COCO file are what COCO defines, where no area decides."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from sib.utils.errors import InputError

LEAVING = 0.1
"""Share of the boxes that must leave their images before they are taken for corners."""
SLACK = 1.0
"""Pixels by which a box may leave its image."""


class _Bare(NamedTuple):
    """A box without an area, a segmentation or a mode beside it."""

    image: str
    values: tuple[float, float, float, float]
    width: float | None
    height: float | None

    @property
    def could_be_corners(self) -> bool:
        a, b, c, d = self.values
        return c > a and d > b

    @property
    def fits_as_corners(self) -> bool:
        _, _, c, d = self.values
        return self._holds(c, d)

    @property
    def leaves(self) -> bool:
        """Whether it leaves its image, read as COCO defines it."""
        a, b, c, d = self.values
        return not self._holds(a + c, b + d)

    def _holds(self, right: float, bottom: float) -> bool:
        if self.width is None or self.height is None:
            return True
        return right <= self.width + SLACK and bottom <= self.height + SLACK


def boxes_in_doubt(content: dict[str, Any], path: Path) -> dict[str, int]:
    """How many boxes of each image may be corners, by the image's id.

    A box x, y, width, height whose width is not above x, or whose height is not above y, cannot be
    two corners. One such box decides for the whole file.

    Args:
        content: of the file.
        path: of the file, for messages.

    Raises:
        InputError: the boxes are probably corners: read as COCO defines them, many leave their
            images.
    """
    boxes = list(_bare(content))
    if not boxes or not all(box.could_be_corners for box in boxes):
        return {}
    leaving = sum(box.leaves for box in boxes)
    if leaving >= LEAVING * len(boxes) and all(box.fits_as_corners for box in boxes):
        raise InputError(
            f"{path}: bbox must be x, y, width and height; read that way, {leaving} of "
            f"{len(boxes)} boxes without an area leave their images, and none does as "
            "xmin, ymin, xmax and ymax. Give each annotation a bbox_mode: 0 for corners, 1 for x, "
            "y, width and height"
        )
    return Counter(box.image for box in boxes)


def _bare(content: dict[str, Any]) -> Iterator[_Bare]:
    sizes = {str(each.get("id")): each for each in content["images"] if isinstance(each, dict)}
    for entry in content["annotations"]:
        box = entry.get("bbox") if isinstance(entry, dict) else None
        if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
            continue
        if entry.get("segmentation") or entry.get("area") or "bbox_mode" in entry:
            continue
        image = str(entry.get("image_id"))
        own = sizes.get(image, {})
        width, height = (_size(own.get(name)) for name in ("width", "height"))
        yield _Bare(image, (box[0], box[1], box[2], box[3]), width, height)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _size(value: object) -> float | None:
    try:
        return float(value) if isinstance(value, int | float | str) else None
    except (ValueError, OverflowError):
        return None
