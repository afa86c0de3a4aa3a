"""Tell photographs from the masks beside them."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from sib.data.readers.kinds import IMAGE_KINDS, is_image, is_photo
from sib.utils.errors import InputError

WORD = r"(?:masks?|segs?|segmentations?)"
NAMED = (
    re.compile(rf"(?P<photo>.+)[-_. ]{WORD}(?:[-_ ]?\d{{1,3}})?", re.I),
    re.compile(rf"{WORD}[-_. ](?P<photo>.+)", re.I),
)
"""The stem of a mask: that of its photograph, after or before a word."""
WHOLE = re.compile(rf"{WORD}|labels?|gt|ground[-_ ]?truth|annotations?|mattes?|alpha", re.I)
"""The whole stem of a mask in a folder of its own with its photograph."""
NONE = "none"
TWINS = 0.9
"""Share of photographs above which their twins are taken for masks with an unknown name."""
FEWEST = 3
"""Fewest twins that are not a coincidence."""
SHARE = 0.2
"""Smallest share of all images that the twins make up; a number of a series is rarer."""


def check_ending(ending: str | None) -> None:
    """Raise InputError unless an ending can follow the stem of a photograph."""
    if ending is not None and (not ending or "/" in ending or "\0" in ending):
        raise InputError(
            "mask_ending must be what follows a photograph's name in its mask's, as _label or "
            f".png, or none; got {ending!r}"
        )


def owner(name: str, ending: str | None) -> str | None:
    """The stem of the photograph to which a mask belongs by its name.

    Args:
        name: the file's name.
        ending: what follows the photograph's stem in the mask's name, with or without the mask's
            own ending; ``"none"`` for no mask beside photographs; None for the usual words.

    Returns:
        None if the name is not that of a mask.
    """
    path = Path(name)
    if ending == NONE:
        return None
    if ending is None:
        found = next((m for m in (n.fullmatch(path.stem) for n in NAMED) if m), None)
        return found["photo"] if found else None
    text, kind = _parts(ending)
    if kind and path.suffix.lower() != kind:
        return None
    if not path.stem.lower().endswith(text.lower()):
        return None
    return path.stem[: len(path.stem) - len(text)] or None


def masks_among(names: Iterable[str], ending: str | None) -> dict[str, str]:
    """The masks among the files of one folder, each with its photograph's stem.

    A file counts as a mask only if its photograph lies beside it, in any case. Of two files, one
    called ``mask`` or ``label`` is that of the other.
    """
    photos = [name for name in names if is_photo(name)]
    alone = lone_mask(photos) if ending is None else None
    if alone is not None:
        return {alone[0]: alone[1]}
    stems = Counter(Path(name).stem.casefold() for name in photos)
    found = {}
    for name in photos:
        photo = owner(name, ending)
        own = photo == Path(name).stem
        if photo is not None and is_image(name) and stems[photo.casefold()] > own:
            found[name] = photo
    return found


def lone_mask(photos: Sequence[str]) -> tuple[str, str] | None:
    """The mask of two files, if its whole name says so, and the stem of the photograph."""
    masks = [name for name in photos if WHOLE.fullmatch(Path(name).stem)]
    if len(photos) != 2 or len(masks) != 1 or not is_image(masks[0]):
        return None
    (photo,) = set(photos) - set(masks)
    return masks[0], Path(photo).stem


def check_samples(folders: Sequence[list[str]]) -> None:
    """Raise InputError if nearly all folders hold a mask among several images.

    Args:
        folders: the names of the images of each folder, without known masks.
    """
    several = [names for names in folders if len(names) > 1]
    masked = [(n, names) for names in several for n in names if WHOLE.fullmatch(Path(n).stem)]
    if len(masked) >= max(FEWEST, TWINS * len(several)):
        mask, names = masked[0]
        others = ", ".join(sorted(set(names) - {mask}))
        raise InputError(
            f"{len(masked)} folders hold {mask} beside {others}: leave one photograph and its mask "
            "in each, or give --input.mask-ending none if all are photographs"
        )


class Twins(NamedTuple):
    """Photographs of which nearly each has a twin with the same name and an addition."""

    number: int
    """Of the twins."""
    photos: int
    """Images that are not twins."""
    first: str
    twin: str
    """The names of a photograph and its twin."""
    rest: str
    """What the twin's name has beyond the photograph's; it ends with ``*`` if it comes first."""

    def __str__(self) -> str:
        """In words."""
        begins = self.rest.endswith("*")
        form = f"begins with {self.rest[:-1]}" if begins else f"ends with {self.rest}"
        return (
            f"{self.number} of {self.photos} images have a twin whose name {form}, such as "
            f"{self.twin} beside {self.first}"
        )


def find_twins(folders: Sequence[list[str]]) -> Twins | None:
    """Twins of nearly every photograph: ``NAME_x.*``, ``x_NAME.*``, or another ending.

    They are beside ``NAME.*``, with one ``x`` throughout. They may be masks or further photographs;
    only the user knows.

    Args:
        folders: the names of the images of each folder, without known masks.
    """
    pairs = [(n, *pair) for n, names in enumerate(folders) for pair in _twins(names)]
    total = sum(len(names) for names in folders)
    photos = total - len({(folder, twin) for folder, _, twin, _ in pairs})
    counts = Counter(rest for *_, rest in pairs)
    for rest, count in counts.most_common(1):
        if count >= max(FEWEST, TWINS * photos, SHARE * total):
            first, twin = next((first, twin) for _, first, twin, found in pairs if found == rest)
            return Twins(count, photos, first, twin, rest)
    return None


def check_twins(folders: Sequence[list[str]]) -> None:
    """Raise InputError if nearly every photograph has a twin; see `find_twins`."""
    found = find_twins(folders)
    if found is not None:
        settled = f"give --input.mask-ending {found.rest}"
        if found.rest.endswith("*"):
            settled = "put them below a folder for --input.masks"
        raise InputError(
            f"{found}: {settled} if the twins are masks, or give --input.mask-ending none if they "
            "are photographs"
        )


def _parts(ending: str) -> tuple[str, str]:
    """The text that an ending adds to the photograph's stem, and the mask file's own ending."""
    kind = next((kind for kind in IMAGE_KINDS if ending.lower().endswith(kind)), "")
    return ending[: len(ending) - len(kind)], kind


def _twins(names: list[str]) -> Iterable[tuple[str, str, str]]:
    """Pairs of images in a folder, and what the second's name has beyond the first's.

    If both names are equal, that is the second's ending. It ends with ``*`` if it comes first.
    """
    by_stem: dict[str, list[str]] = {}
    for name in names:
        by_stem.setdefault(Path(name).stem.casefold(), []).append(name)
    for stem, own in by_stem.items():
        first, *others = sorted(own, key=_is_lossless)
        yield from ((first, other, Path(other).suffix.lower()) for other in others)
        for place in range(1, len(stem)):
            # digits alone are the next digits of a number
            if stem[:place] in by_stem and not stem[place].isdecimal():
                yield by_stem[stem[:place]][0], own[0], stem[place:]
            if stem[place:] in by_stem and not stem[place - 1].isdecimal():
                yield by_stem[stem[place:]][0], own[0], f"{stem[:place]}*"


def _is_lossless(name: str) -> bool:
    return name.lower().endswith((".png", ".gif", ".bmp", ".tif", ".tiff", ".pgm", ".pbm"))
