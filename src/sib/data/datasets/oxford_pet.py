"""The layout of Oxford-IIIT Pet: images, two lists, trimaps."""

from pathlib import Path

from sib.data.files import read_lines
from sib.data.layout import Layout, check_classes, check_trained
from sib.data.sample import MaskFile, MaskRule, Record
from sib.utils.errors import InputError

LISTS = ("trainval.txt", "test.txt")


def matches(folder: Path) -> bool:
    """Whether a folder has this layout."""
    lists = all((folder / "annotations" / name).is_file() for name in LISTS)
    return lists and (folder / "images").is_dir()


def read(folder: Path) -> Layout:
    """Read ``annotations/trainval.txt`` and ``annotations/test.txt``.

    A line is ``<image> <class id> <species> <breed id>``; classes are in the numeric order of
    their ids and are named by their images, without the number behind the last ``_``. Images are
    ``images/<image>.jpg``.

    Foregrounds are ``annotations/trimaps/<image>.png``: 1 is the animal, 2 the background, 3 a
    band a few pixels wide along the animal's outline. 1 and 3 count as foreground, because what
    makes an animal's shape and fur known lies on its outline.

    Raises:
        InputError: a malformed line, a missing image or trimap, fewer than two classes, an image
            that is listed twice.
    """
    rows = {name: _read_list(folder, name) for name in LISTS}
    names = _class_names([row for listed in rows.values() for row in listed])
    labels = {number: label for label, number in enumerate(sorted(names))}
    classes = [names[number] for number in labels]
    trimaps = folder / "annotations" / "trimaps"
    annotated = trimaps.is_dir()
    train, test = (
        [
            _record(folder, place, image, labels[number], annotated)
            for place, image, number in listed
        ]
        for listed in rows.values()
    )
    _check_unique(rows)
    check_classes(classes, folder / "images")
    check_trained(train, test, classes, str(folder / "annotations" / LISTS[1]))
    return Layout("oxford_pet", classes, train, None, test)


def _read_list(folder: Path, name: str) -> list[tuple[str, str, int]]:
    """Location of the line, image and class id."""
    rows = []
    for place, line in read_lines(folder / "annotations" / name):
        words = line.split()
        if line.startswith("#"):
            continue
        if len(words) != 4 or not words[1].isdecimal() or "/" in words[0] or "_" not in words[0]:
            raise InputError(
                f"{place}: expected <image> <class id> <species> <breed id>; got {line!r}"
            )
        rows.append((place, words[0], int(words[1])))
    if not rows:
        raise InputError(f"{folder / 'annotations' / name} lists no image")
    return rows


def _class_names(rows: list[tuple[str, str, int]]) -> dict[int, str]:
    names: dict[int, str] = {}
    for place, image, number in rows:
        own = image.rpartition("_")[0]
        if names.setdefault(number, own) != own:
            raise InputError(
                f"{place}: class id {number} is {names[number]} in another line; got {image}"
            )
    return names


def _record(folder: Path, place: str, name: str, label: int, annotated: bool) -> Record:
    image = folder / "images" / f"{name}.jpg"
    if not image.is_file():
        raise InputError(f"{place}: there is no image {image}")
    trimap = folder / "annotations" / "trimaps" / f"{name}.png"
    if annotated and not trimap.is_file():
        raise InputError(f"{place}: there is no trimap {trimap}")
    mask = MaskFile(trimap, MaskRule.TRIMAP) if annotated else None
    return Record(image, label, mask, f"images/{name}.jpg")


def _check_unique(rows: dict[str, list[tuple[str, str, int]]]) -> None:
    seen: dict[str, str] = {}
    for listed in rows.values():
        for place, image, _ in listed:
            if image in seen:
                raise InputError(f"{place}: {image} is duplicated: {seen[image]} names it too")
            seen[image] = place
