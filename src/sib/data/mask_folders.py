"""Recognise the folders of masks and annotations that lie among folders of images."""

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from sib.data.files import list_folders, printable
from sib.data.mask_names import is_certain, is_of_masks, may_hold_labels, may_hold_lists, owner_of
from sib.data.readers.decode import is_grey16, opened
from sib.data.readers.kinds import LOSSY, is_image, is_photo
from sib.utils.errors import InputError

SAMPLE = 5
"""Images of a folder that are looked at."""
MOST_COLOURS = 64
"""Of a mask; a photograph of more than a few pixels has more."""
BETWEEN = 0.1
"""Largest share of a mask's pixels that are neither black nor white, if it has more colours."""


class MaskFolders(NamedTuple):
    """The folders in a folder that hold neither a class nor a split."""

    trees: list[tuple[Path, Path]]
    """Folders of masks, each behind the folder of images that it is parallel to."""
    unread: list[Path]
    """Folders called as masks, annotations or lists of images are, in which there are other files
    than images."""

    @property
    def all(self) -> list[Path]:
        """Their paths."""
        return [tree for _, tree in self.trees] + self.unread


def mask_folders(parent: Path, beside_images: bool = False) -> MaskFolders:
    """The folders of masks in a folder.

    A folder is one if it has a name of `mask_names.CERTAIN`; or if its name has a word of
    `mask_names.LABELS` and its images have few colours, unlike those of the other folders.
    ``cat_masks`` beside ``cat`` is parallel to it, and any other to the parent.

    Args:
        parent: the folder, of classes, splits or ``images``.
        beside_images: whether none of its folders is a class; then all names of
            `mask_names.FOLDERS` are of masks.
    """
    folders = list_folders(parent)
    lists = [path for path in folders if may_hold_lists(path.name)]
    named = [path for path in folders if may_hold_labels(path.name)] + lists
    others = [path for path in folders if path not in named]
    trees, unread = [], []
    for folder in named:
        images = _some_images(folder)
        if is_certain(folder.name) or (beside_images and is_of_masks(folder.name)):
            trees.append((_base(folder, others, parent), folder))
        elif not images and _holds_other_files(folder):
            unread.append(folder)
        elif images and all(map(_is_like_a_mask, images)) and _differs(folder, others):
            trees.append((_base(folder, others, parent), folder))
    return MaskFolders(trees, unread)


def _holds_other_files(folder: Path) -> bool:
    """Whether there are files below a folder, and none is a photograph."""
    files = [name for _, _, files in os.walk(folder) for name in files if name[0] != "."]
    return bool(files) and not any(map(is_photo, files))


def notes_on(found: list[MaskFolders], used: list[Path], root: Path) -> dict[str, list[str]]:
    """What to report: the trees of masks that are used, and the folders that are not."""

    def shown(path: Path) -> str:
        return printable(path.relative_to(root).as_posix())

    trees = sorted({tree for each in found for _, tree in each.trees})
    unread = sorted({folder for each in found for folder in each.unread})
    others = [tree for tree in trees if tree not in used and _some_images(tree)]
    same = [tree for tree in others if any(_same_names(tree, each) for each in used)]
    notes = {
        "mask_folders": [shown(tree) for tree in trees if tree in used],
        "masks_unmatched": [shown(tree) for tree in others if tree not in same],
        "masks_of_same_names": [shown(tree) for tree in same],
        "annotation_folders": [shown(f) for f in unread if not may_hold_lists(f.name)],
        "list_folders": [shown(f) for f in unread if may_hold_lists(f.name)],
    }
    return {name: value for name, value in notes.items() if value}


def _same_names(tree: Path, used: Path) -> bool:
    """Whether the first masks of a tree are in the same places as masks of the tree in use."""
    return all((used / path.relative_to(tree)).exists() for path in _some_images(tree))


def _base(folder: Path, others: list[Path], parent: Path) -> Path:
    own = owner_of(folder.name)
    return next((path for path in others if own and owner_of(path.name) == own), parent)


def _differs(folder: Path, others: list[Path]) -> bool:
    """Whether the other folders hold photographs, or the same folders as this one."""
    if not others:
        return False
    images = [image for other in others for image in _some_images(other)]
    if not all(map(_is_like_a_mask, images)):
        return True
    inner = {path.name for path in list_folders(folder)}
    return not inner.isdisjoint(
        {path.name for path in others} | {p.name for path in others for p in list_folders(path)}
    )


def _some_images(folder: Path) -> list[Path]:
    return list(islice(_images(folder), SAMPLE))


def _images(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name[0] != ".")
        yield from (Path(parent, name) for name in sorted(files) if is_image(name))


def _is_like_a_mask(path: Path) -> bool:
    try:
        with opened(path) as image:
            image.load()
            return _has_few_colours(image)
    except InputError:  # which is reported when the image is read
        return False


def _has_few_colours(image: Image.Image) -> bool:
    if is_grey16(image) or image.mode == "F":
        return len(np.unique(np.asarray(image))) <= MOST_COLOURS
    if image.getcolors(MOST_COLOURS) is not None and image.format not in LOSSY:
        return True
    pixels = np.asarray(image.convert("RGB")).astype(int)
    grey = pixels.max(axis=2) - pixels.min(axis=2) <= 32
    between = (pixels.max(axis=2) > 32) & (pixels.min(axis=2) < 223)
    return bool(grey.mean() > 1 - BETWEEN and between.mean() < BETWEEN)
