"""Tell masks that lie among photographs from the photographs."""

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from sib.data.readers.kinds import IMAGE_KINDS, is_image, is_photo
from sib.utils.errors import InputError

FOLDERS = ("mask", "masks", "seg", "segs", "segmentation", "segmentations")
"""Names, in any case, of folders of masks inside a class folder."""
NAMED = re.compile(r"(?P<photo>.+)[-_. ](?:masks?|segs?|segmentations?)(?:[-_ ]?\d{1,3})?", re.I)
"""The stem of a mask: that of its photograph and a word."""
NONE = "none"
TWINS = 0.9
"""Share of the photographs from which on their twins are taken for masks of an unknown name."""
FEWEST = 3
"""Twins that are no coincidence."""


def check_ending(ending: str | None) -> None:
    """Raise InputError unless an ending can follow the stem of a photograph."""
    if ending is not None and (not ending or "/" in ending or "\0" in ending):
        raise InputError(
            "mask_ending must be what follows a photograph's name in its mask's, as _label or "
            f".png, or none; got {ending!r}"
        )


def owner(name: str, ending: str | None) -> str | None:
    """The stem of the photograph whose mask a file would be by its name.

    Args:
        name: of the file.
        ending: what follows the photograph's stem in the mask's name, with or without the mask's
            own ending; ``"none"`` for no mask beside photographs; None for the usual words.

    Returns:
        None where the name is not that of a mask.
    """
    path = Path(name)
    if ending == NONE:
        return None
    if ending is None:
        found = NAMED.fullmatch(path.stem)
        return found["photo"] if found else None
    text, kind = _parts(ending)
    if kind and path.suffix.lower() != kind:
        return None
    if not path.stem.lower().endswith(text.lower()):
        return None
    return path.stem[: len(path.stem) - len(text)] or None


def masks_among(names: Iterable[str], ending: str | None) -> dict[str, str]:
    """The masks among the files of one folder, each with its photograph's stem.

    A file with the name of a mask is one where its photograph lies beside it.
    """
    photos = [name for name in names if is_photo(name)]
    stems = Counter(Path(name).stem for name in photos)
    found = {}
    for name in photos:
        photo = owner(name, ending)
        own = photo == Path(name).stem
        if photo is not None and is_image(name) and stems[photo] > own:
            found[name] = photo
    return found


def check_twins(folders: Iterable[list[str]]) -> None:
    """Raise InputError where nearly every photograph has a twin of the same name and more.

    Twins are ``NAME_x.*`` beside ``NAME.*``, with one ``x`` throughout, and ``NAME.png`` beside
    ``NAME.jpg``. They may be masks or further photographs, which only the user knows.

    Args:
        folders: the names of the images of each folder, without known masks.
    """
    counts: Counter[str] = Counter()
    examples: dict[str, tuple[str, str]] = {}
    total = 0
    for names in folders:
        total += len(names)
        for first, twin, rest in _twins(names):
            counts[rest] += 1
            examples.setdefault(rest, (first, twin))
    for rest, count in counts.most_common(1):
        photos = total - count
        if count >= FEWEST and count >= TWINS * photos:
            first, twin = examples[rest]
            raise InputError(
                f"{count} of {photos} images have a twin whose name ends with {rest}, such as "
                f"{twin} beside {first}: give --input.mask-ending {rest} if the twins are masks, "
                "or --input.mask-ending none if they are photographs"
            )


def _parts(ending: str) -> tuple[str, str]:
    """An ending as the text behind the photograph's stem, and the mask file's own ending."""
    kind = next((kind for kind in IMAGE_KINDS if ending.lower().endswith(kind)), "")
    return ending[: len(ending) - len(kind)], kind


def _twins(names: list[str]) -> Iterable[tuple[str, str, str]]:
    """Pairs of images in a folder, and what the second's name has beyond the first's."""
    by_stem: dict[str, list[str]] = {}
    for name in names:
        by_stem.setdefault(Path(name).stem, []).append(name)
    for stem, own in by_stem.items():
        if len(own) == 2:
            first, second = sorted(own, key=_is_lossless)
            yield first, second, Path(second).suffix.lower()
        for separator in re.finditer(r"[-_. ]", stem):
            photo = stem[: separator.start()]
            if photo in by_stem:
                yield by_stem[photo][0], own[0], stem[separator.start() :]


def _is_lossless(name: str) -> bool:
    return name.lower().endswith((".png", ".gif", ".bmp", ".tif", ".tiff", ".pgm", ".pbm"))
