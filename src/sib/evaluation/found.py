"""The foregrounds that a run found in its training images, as masks."""

from pathlib import Path

from torch import Tensor

from sib.functional.area import marked_area
from sib.runs.foreground_file import NAME, read_foregrounds
from sib.utils.errors import InputError
from sib.utils.image_size import ImageSize, height_width


def found_foregrounds(folder: Path, image_size: ImageSize) -> dict[str, Tensor]:
    """The masks of a run's file, at the size of its input.

    Args:
        folder: run folder.
        image_size: S, or height and width.

    Returns:
        (S, S), bool, by the image's name.

    Raises:
        InputError: the run found none, or the file is damaged.
    """
    if not (folder / NAME).exists():
        raise InputError(
            f"{folder} has no {NAME}: only a run with --foreground pretrained, the default of sib "
            "train with --weights, looks for foregrounds before it trains"
        )
    found = read_foregrounds(folder)
    masks = marked_area(found.maps, found.facts["area"], height_width(image_size))
    return dict(zip(found.names, masks[:, 0], strict=True))
