"""What a reader finds in a folder, and what it has to hold."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sib.data.files import list_images
from sib.data.records import RecordSource
from sib.data.sample import Record
from sib.data.source import Divisible
from sib.utils.errors import InputError


@dataclass(frozen=True)
class Layout:
    """The images of a folder, in the splits that the folder itself makes.

    Args:
        name: of the layout, for the record.
        classes: (K,) names by label.
        train: images to train on; everything where ``test`` is None.
        validation: None where it is still to be held out of ``train``.
        test: None where it is still to be held out of ``train``.
        notes: further facts for the record.
    """

    name: str
    classes: list[str]
    train: list[Record]
    validation: list[Record] | None
    test: list[Record] | None
    notes: dict[str, Any] = field(default_factory=dict)


def class_images(root: Path, folders: list[Path]) -> dict[str, list[Path]]:
    """The images of each class folder, by class name.

    Raises:
        InputError: fewer than two classes, or one without an image.
    """
    check_classes([folder.name for folder in folders], root)
    images = {folder.name: list_images(folder) for folder in folders}
    if not any(images.values()):
        raise InputError(f"{root} holds no image; jpg, png, bmp, webp, tif and ppm files are read")
    for folder in folders:
        if not images[folder.name]:
            raise InputError(f"class folder {folder} holds no image; each needs at least one")
    return images


def check_classes(names: list[str], root: Path) -> None:
    """Raise InputError for fewer than two classes."""
    if len(names) < 2:
        found = f"only the class folder {names[0]}" if names else "no class folder"
        raise InputError(
            f"{root} holds {found}; at least two folders of images are needed, one for each class"
        )


def check_trained(train: list[Record], other: list[Record], classes: list[str], where: str) -> None:
    """Raise InputError where another split has a class that the training images lack."""
    lacking = {record.label for record in other} - {record.label for record in train}
    if lacking:
        names = ", ".join(classes[label] for label in sorted(lacking))
        raise InputError(
            f"{where}: no training image shows {names}; each class that is tested must be trained"
        )


@dataclass(frozen=True)
class Parts:
    """What `Layout` says, with sources in place of records."""

    name: str
    classes: list[str]
    train: Divisible
    validation: Divisible | None
    test: Divisible | None
    notes: dict[str, Any] = field(default_factory=dict)


def as_parts(layout: Layout) -> Parts:
    """The sources of a layout's records."""

    def source(records: list[Record] | None) -> RecordSource | None:
        return None if records is None else RecordSource(records, layout.classes)

    train = RecordSource(layout.train, layout.classes)
    rest = source(layout.validation), source(layout.test)
    return Parts(layout.name, layout.classes, train, *rest, layout.notes)
