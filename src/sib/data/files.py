"""Find images, masks and list files in a folder; hidden ones are never seen."""

import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sib.data.beside import FEWEST, FOLDERS, NONE, check_twins, masks_among, owner
from sib.data.readers.kinds import ending_of, is_image
from sib.data.sample import MaskFile, MaskRule
from sib.utils.errors import InputError

LABELS = {"label", "labels", "annotation", "annotations", "gt", "truth", "groundtruth"} | {
    *("target", "targets", "matte", "mattes", "alpha", "silhouette", "silhouettes"),
    *("mask", "masks", "seg", "segmentation", "segmentations"),
}
"""Words in the names of folders inside a class that may hold masks."""
OF_SYSTEMS = (
    *("__MACOSX", "@eaDir", "__pycache__", "$RECYCLE.BIN"),
    *("System Volume Information", "lost+found"),
)
"""Folders that archivers, file systems and programs leave behind; they hold nobody's images."""


class Listing(NamedTuple):
    """The files below a folder."""

    images: list[Path]
    """Sorted by path, without the masks among them."""
    unread: Counter[str]
    """Files that are not read, by their endings."""


def list_folders(folder: Path) -> list[Path]:
    """The folders in a folder, sorted by name, without those of file systems and archivers."""
    folders = (path for path in folder.iterdir() if path.is_dir())
    return sorted(path for path in folders if path.name[0] != "." and path.name not in OF_SYSTEMS)


def list_files(folder: Path, mask_ending: str | None = None) -> Listing:
    """All images below a folder, and what is not read there.

    Left out are the masks beside photographs (see `beside.owner`) and, where there are images
    outside of them, the folders ``masks`` and the like (see `beside.FOLDERS`).
    """
    listed: list[tuple[Path, list[str], bool]] = []
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name[0] != "." and name not in OF_SYSTEMS]
        below = Path(parent).relative_to(folder).parts
        of_masks = mask_ending != NONE and any(part.lower() in FOLDERS for part in below)
        listed.append((Path(parent), files, of_masks))
    outside = any(is_image(name) for _, files, of_masks in listed if not of_masks for name in files)
    images: list[Path] = []
    unread: Counter[str] = Counter()
    for path, files, of_masks in listed:
        unread.update(ending_of(n) for n in files if n[0] != "." and not is_image(n))
        if not (of_masks and outside):
            masks = masks_among(files, mask_ending)
            images += [path / name for name in files if is_image(name) and name not in masks]
    return Listing(sorted(images), unread)


def check_for_twins(images: list[Path]) -> None:
    """Raise InputError where nearly every image has a twin beside it; see `beside.check_twins`."""
    folders: dict[Path, list[str]] = {}
    for image in images:
        folders.setdefault(image.parent, []).append(image.name)
    check_twins(list(folders.values()))


def check_for_labels(images: list[Path], class_folder: Path) -> None:
    """Raise InputError where a folder inside a class mirrors the one beside it, as masks would."""
    folders: dict[Path, set[str]] = {}
    for image in images:
        folders.setdefault(image.parent, set()).add(image.stem)
    for folder, stems in folders.items():
        words = set(re.split(r"[-_. ]+", folder.name.lower()))
        if folder == class_folder or not words & LABELS or len(stems) < FEWEST:
            continue
        for other, photos in folders.items():
            if other != folder and folder.parent in (other, other.parent) and stems <= photos:
                raise InputError(
                    f"{folder} holds images with the names of those in {other}: call it masks if "
                    "they are masks, or give --input.mask-ending none if they are photographs"
                )


class MaskFinder:
    """Finds the masks of the images in a folder of the user's own.

    A mask lies beside its image as ``NAME_mask.*`` or with another ending (see `beside.owner`),
    in a folder ``masks`` inside the class folder, or in a parallel tree at the image's path below
    the root; in the last two with the image's name or that of a mask beside it. Any format that is
    read will do. Foreground is 1 where the mask holds 0 and 1 only, and 128 and above elsewhere.

    Args:
        bases: folders of class folders; a folder ``masks`` in one of them is parallel to it.
        tree: a tree parallel to the first base, in place of all other places.
        mask_ending: see `beside.owner`.
    """

    def __init__(
        self, bases: list[Path], tree: Path | None = None, mask_ending: str | None = None
    ) -> None:
        self.tree, self.mask_ending = tree, mask_ending
        self.trees: list[tuple[Path, Path]] = [
            (base, path) for base in bases for path in mask_trees(base)
        ]
        if tree is not None:
            self.trees = [(bases[0], tree)]
        self._folders: dict[Path, dict[str, list[str]]] = {}

    def find(self, image: Path, class_folder: Path) -> MaskFile | None:
        """The mask of an image in a class folder; None where there is none.

        Raises:
            InputError: there are several.
        """
        parallel = [
            tree / image.parent.relative_to(base)
            for base, tree in self.trees
            if image.is_relative_to(base)
        ]
        for folder in (*self._beside(image, class_folder), *parallel):
            found = self._masks(folder, image)
            if len(found) > 1:
                raise InputError(
                    f"{image} has {len(found)} masks, {found[0]} and {found[1].name}; join them "
                    "into one file"
                )
            if found:
                return MaskFile(found[0], MaskRule.BINARY_OR_HALF)
        return None

    def _beside(self, image: Path, class_folder: Path) -> Iterator[Path]:
        if self.tree is not None or self.mask_ending == NONE:
            return
        yield image.parent
        inside = image.parent != class_folder
        for parent in (image.parent, image.parent.parent)[: 1 + inside]:
            names = self._listed(parent)["/"]
            yield from (parent / name for name in names if name.lower() in FOLDERS)

    def _masks(self, folder: Path, image: Path) -> list[Path]:
        """The files of a folder that are masks of an image."""
        listed = self._listed(folder)
        stem = image.stem.casefold()
        named = listed.get(f"/{stem}", [])
        same = [] if folder == image.parent else listed.get(stem, [])
        found = [name for name in same or named if folder / name != image]
        # where names differ in their case alone, each image has its own
        own = image.stem
        exact = [n for n in found if n.startswith(own) or Path(n).stem.endswith(own)]
        return [folder / name for name in exact or found]

    def _listed(self, folder: Path) -> dict[str, list[str]]:
        """Images by their stem, masks by ``/`` and their photograph's, folders under ``/``.

        Stems are compared in any case.
        """
        if folder in self._folders:
            return self._folders[folder]
        found: dict[str, list[str]] = {"/": []}
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:  # there need not be such a folder
            entries = []
        for entry in entries:
            if entry.name[0] != "." and entry.is_dir():
                found["/"].append(entry.name)
            elif is_image(entry.name):
                found.setdefault(Path(entry.name).stem.casefold(), []).append(entry.name)
                photo = owner(entry.name, self.mask_ending)
                if photo is not None:
                    found.setdefault(f"/{photo.casefold()}", []).append(entry.name)
        self._folders[folder] = found
        return found


def mask_trees(base: Path) -> list[Path]:
    """The folder ``masks`` of a folder of class folders, in any case."""
    return [folder for folder in list_folders(base) if folder.name.lower() == "masks"]


def trees_beside(folder: Path) -> list[Path]:
    """Folders ``masks``, ``segmentations`` and the like, where no folder is that of a class."""
    return [path for path in list_folders(folder) if path.name.lower() in FOLDERS]


def printable(name: str) -> str:
    r"""A name from the file system as text: a byte that is not UTF-8 becomes ``\xe9``."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def is_file(path: Path) -> bool:
    """Whether a path is that of a file; no where it is too long for the file system."""
    try:
        return path.is_file()
    except OSError:
        return False


def stays_below(path: str) -> bool:
    """Whether a path of a list names something below its folder: no ``..``, no root."""
    parts = Path(path).parts
    return bool(parts) and ".." not in parts and not Path(path).is_absolute() and "\0" not in path


def read_lines(path: Path) -> Iterator[tuple[str, str]]:
    """The lines of a text file that are not blank, each behind its place ``file, line n``.

    Raises:
        InputError: the file is missing or not text.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise InputError(f"{path} is missing") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not a text file in UTF-8") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield f"{path}, line {number}", line.strip()
