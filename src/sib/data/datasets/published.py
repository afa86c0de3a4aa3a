"""The five published data sets: which folder below a root is which, and who reads it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sib.data.datasets import cifar100, cub, imagenet, oxford_pet, stanford_dogs
from sib.data.datasets.catalogue import CATALOGUE
from sib.data.layout import Layout, Parts, as_parts
from sib.utils.errors import InputError


@dataclass(frozen=True)
class Reader:
    """How one published set is found and read."""

    folders: tuple[str, ...]
    """Where it may be below the root; the root itself is tried last."""
    matches: Callable[[Path], bool]
    read: Callable[[Path], Layout | Parts]


READERS = {
    "cifar100": Reader((cifar100.FOLDER,), cifar100.matches, cifar100.read),
    "cub200": Reader((cub.FOLDER,), cub.matches, lambda folder: cub.read(folder, None)),
    "stanford_dogs": Reader(
        (stanford_dogs.FOLDER, "StanfordDogs"), stanford_dogs.matches, stanford_dogs.read
    ),
    "imagenet": Reader(
        (
            "ILSVRC/Data/CLS-LOC",
            "Data/CLS-LOC",
            imagenet.FOLDER,
            f"{imagenet.FOLDER}/ILSVRC/Data/CLS-LOC",
        ),
        imagenet.matches,
        imagenet.read,
    ),
    "oxford_pet": Reader((oxford_pet.FOLDER, "oxford_pet"), oxford_pet.matches, oxford_pet.read),
}


def find(name: str, root: Path) -> Path | None:
    """The folder of a published set below a root, or the root itself; None if there is none.

    Raises:
        InputError: the root cannot be read.
    """
    reader = READERS[name]
    try:
        found = (root / folder for folder in (*reader.folders, "."))
        return next((folder for folder in found if reader.matches(folder)), None)
    except OSError as error:
        raise InputError(f"{error.filename or root} cannot be read: {error.strerror}") from None


def locate(name: str, root: Path) -> Path:
    """Like `find`, but raises if there is none.

    Raises:
        InputError: there is none; the sentence says which files to put where.
    """
    folder = find(name, root)
    if folder is None:
        raise InputError(
            f"root: {root} holds no {CATALOGUE[name].title}; {CATALOGUE[name].advice(name, root)}"
        )
    return folder


def read(name: str, folder: Path) -> Parts:
    """Read a published set from its folder.

    Raises:
        InputError: a problem with a file; see the reader of the set.
    """
    found = READERS[name].read(folder)
    return found if isinstance(found, Parts) else as_parts(found)
