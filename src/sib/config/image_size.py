"""``--image-size`` as an option of a command."""

from typing import Annotated

from tyro.constructors import PrimitiveConstructorSpec

from sib.utils.errors import InputError
from sib.utils.image_size import ImageSize, parse_size, plain_size


def _parsed(words: list[str]) -> ImageSize | str | None:
    """The size, or the text itself if it is not one: the configuration then reports that."""
    try:
        return None if words == ["None"] else parse_size(words[0])
    except InputError:
        return words[0]


def _shown(size: ImageSize | str | None) -> list[str]:
    return [str(size if size is None or isinstance(size, str) else plain_size(size))]


ImageSizeOption = Annotated[
    ImageSize | str | None,
    PrimitiveConstructorSpec(
        nargs=1,
        metavar="N|HxW",
        instance_from_str=_parsed,
        is_instance=lambda value: value is None or isinstance(value, (int, tuple, str)),
        str_from_instance=_shown,
    ),
]
"""An integer for a square, (H, W) otherwise, or None; see `parse_size`."""
