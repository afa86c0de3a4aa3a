"""Recognises split folders by their names."""

import re
from pathlib import Path
from typing import NamedTuple

from sib.data.files import list_files, list_folders, printable
from sib.data.mask_folders import mask_folders
from sib.data.readers.kinds import is_image
from sib.utils.errors import InputError

WORDS = {
    "train": ("train", "training", "trainval"),
    "validation": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
"""Names of each split's folder, in any case, alone or as in ``train_set`` and ``val_2017``."""
_AROUND = ("set", "data", "split", "images", "imgs", "seg", "img", "image", "ds")
DIGITS = "0123456789"


class SplitFolders(NamedTuple):
    """A root's folders by their role."""

    splits: dict[str, Path]
    """``train``, ``validation`` and ``test``, if they exist."""
    others: list[Path]
    """Folders that are neither a split nor the tree of masks."""


def split_of(name: str) -> str | None:
    """The split that a folder's name means: ``train``, ``validation``, ``test`` or None.

    A number may follow the word, directly or after one of ``_``, ``-``, ``.`` and a blank.
    """
    first, *rest = [part for part in _parts(name) if part not in _AROUND] or [""]
    word = first.rstrip(DIGITS)
    if len(rest) > 1 or (rest and (word != first or rest[0].strip(DIGITS))):
        return None
    for split, words in WORDS.items():
        if word in words or word in [f"{each}set" for each in words]:
            return split
    return None


def names_split(name: str) -> bool:
    """Whether the word of a split is among others in a folder's name, as in ``fold1_train``."""
    known = {word for words in WORDS.values() for word in words} | {"holdout", "unseen"}
    return any(part.rstrip(DIGITS) in known for part in _parts(name))


def _parts(name: str) -> list[str]:
    return re.split(r"[-_. ]+", name.lower())


def find_splits(root: Path) -> SplitFolders | None:
    """The splits of a root; None if its folders are classes.

    A folder with a split's name is a split if it holds folders. If it also holds images, another
    split folder must exist. A class may have such a name if its folder holds images.

    Raises:
        InputError: two folders have the name of one split, splits hold images without class
            folders, or a single folder may be a split or a class.
    """
    excluded = mask_folders(root).all
    folders = [path for path in list_folders(root) if path not in excluded]
    named = [path for path in folders if split_of(path.name)]
    others = [path for path in folders if path not in named]
    flat = [path for path in named if not _holds_classes(path, alone=len(named) == 1)]
    if len(folders) > 1 and len(flat) == len(folders):
        raise InputError(
            f"{root}: the folders {_listed(flat)} hold no class folders; a split needs a folder of "
            "images for each class, and a class needs another name than that of a split"
        )
    splits = [path for path in named if path not in flat]
    if not splits:
        return None
    if len(splits) == 1 and (images := [path for path in others if list_files(path).images]):
        raise InputError(
            f"{root}: {printable(splits[0].name)} is a split by its name, and beside it "
            f"{printable(images[0].name)} holds images as a class would: move one of them away"
        )
    found = by_split(splits)
    if flat:
        raise InputError(
            f"{root}: {_listed(flat)} is a split by its name and holds no class folders, as "
            f"{_listed(splits)} does; move it away, or put its images into class folders"
        )
    return SplitFolders(found, [path for path in folders if path not in splits])


def by_split(folders: list[Path]) -> dict[str, Path]:
    """The folders that have the name of a split, by the split.

    Raises:
        InputError: two have the name of one split.
    """
    found: dict[str, Path] = {}
    for path in folders:
        split = split_of(path.name)
        if split in found:
            raise InputError(
                f"{path.parent}: {printable(found[split].name)} and {printable(path.name)} are "
                f"both {split} splits by their names; rename or remove one"
            )
        if split is not None:
            found[split] = path
    return found


def _holds_classes(folder: Path, alone: bool) -> bool:
    """Whether a folder holds folders and, if it is alone, no image beside them."""
    stray = any(is_image(path.name) for path in folder.iterdir())
    return bool(list_folders(folder)) and not (alone and stray)


def _listed(folders: list[Path]) -> str:
    return " and ".join(printable(folder.name) for folder in folders)
