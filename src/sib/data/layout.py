"""What a reader finds in a folder, and the checks that it must pass."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from sib.data.files import check_for_labels, list_files, list_folders, printable
from sib.data.readers.decode import ValueRange
from sib.data.readers.kinds import WORDS
from sib.data.records import RecordSource
from sib.data.sample import Record, labels_of
from sib.data.source import Divisible
from sib.utils.errors import InputError

DEEPEST = 4
"""Folders inside each other in which classes are looked for, for a message."""


@dataclass(frozen=True)
class Layout:
    """The images of a folder, in the splits that the folder itself defines.

    Args:
        name: name of the layout, for the record.
        classes: (K,) names by label.
        train: images to train on; all images if ``test`` is None.
        validation: None if it is still to be held out of ``train``.
        test: None if it is still to be held out of ``train``.
        notes: further facts for the record.
    """

    name: str
    classes: list[str]
    train: list[Record]
    validation: list[Record] | None
    test: list[Record] | None
    notes: dict[str, Any] = field(default_factory=dict)


class ClassImages(NamedTuple):
    """The images of class folders."""

    images: dict[str, list[Path]]
    """By class name."""
    folders: dict[str, Path]
    """By class name."""
    unread: Counter[str]
    """Unread files in the class folders, counted by ending."""
    masks: list[Path]
    """Images in folders of masks inside the class folders."""


def class_images(root: Path, folders: list[Path], mask_ending: str | None = None) -> ClassImages:
    """The images of each class folder; see `files.list_files`.

    Raises:
        InputError: fewer than two classes, or one without an image or with a folder of labels.
    """
    check_classes([folder.name for folder in folders], root)
    listings = {printable(folder.name): list_files(folder, mask_ending) for folder in folders}
    unread = sum((listing.unread for listing in listings.values()), Counter[str]())
    if not any(listing.images for listing in listings.values()):
        raise InputError(f"{root} holds no image; {WORDS} files are read{_other_files(unread)}")
    for folder in folders:
        listing = listings[printable(folder.name)]
        if not listing.images:
            raise InputError(
                f"class folder {folder} holds no image{_other_files(listing.unread)}; each needs "
                "at least one, so add some or remove the folder"
            )
        if mask_ending is None:
            check_for_labels(listing.images, folder)
    images = {name: listing.images for name, listing in listings.items()}
    masks = [path for listing in listings.values() for path in listing.masks]
    return ClassImages(images, {printable(f.name): f for f in folders}, unread, masks)


def _other_files(unread: Counter[str]) -> str:
    return f", and it holds {counted(unread)}" if unread else ""


def counted(files: Mapping[str, int]) -> str:
    """Counts of files by ending, as text: ``3 .heic, 1 .txt``."""
    ordered = sorted(files.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count} {ending}" for ending, count in ordered)


OF_A_TABLE = (
    ". If a table gives each image several labels, name it with --labels, and the folder of the "
    "images with --data"
)


def check_classes(names: list[str], root: Path) -> None:
    """Raise InputError for fewer than two classes."""
    if len(names) < 2:
        found = f"only the class folder {names[0]}" if names else "no class folder"
        raise InputError(
            f"{root} holds {found}; at least two folders of images are needed, one for each class"
            + ((_deeper(root / names[0]) if names else "") or OF_A_TABLE)
        )


def _deeper(folder: Path) -> str:
    """Where the classes may be, if a folder holds folders: archives often add one around them."""
    for _ in range(DEEPEST):
        inner = list_folders(folder)
        if len(inner) > 1:
            shown = " and ".join(printable(path.name) for path in inner[:2])
            return (
                f". {folder} holds {len(inner)} folders, {shown}{' …' * (len(inner) > 2)}: name it "
                "as the data, or move them up"
            )
        if not inner:
            return ""
        folder = inner[0]
    return ""


def check_trained(train: list[Record], other: list[Record], classes: list[str], where: str) -> None:
    """Raise InputError if another split has a class that the training images lack."""
    lacking = _labels(other) - _labels(train)
    if lacking:
        names = ", ".join(classes[label] for label in sorted(lacking))
        raise InputError(
            f"{where}: no training image shows {names}; each class that is tested must be trained"
        )


def _labels(records: list[Record]) -> set[int]:
    return {label for record in records for label in labels_of(record.label)}


@dataclass(frozen=True)
class Parts:
    """The same as `Layout`, with sources instead of records."""

    name: str
    classes: list[str]
    train: Divisible
    validation: Divisible | None
    test: Divisible | None
    notes: dict[str, Any] = field(default_factory=dict)


def as_parts(layout: Layout, value_range: ValueRange | None = None) -> Parts:
    """The sources of a layout's records; for ``value_range`` see `read_image`."""

    def source(records: list[Record] | None) -> RecordSource | None:
        return None if records is None else RecordSource(records, layout.classes, value_range)

    train = RecordSource(layout.train, layout.classes, value_range)
    rest = source(layout.validation), source(layout.test)
    return Parts(layout.name, layout.classes, train, *rest, layout.notes)
