"""Find images, masks and list files in a folder; hidden ones are ignored."""

import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sib.data.beside import FEWEST, NONE, check_samples, check_twins, find_twins, masks_among
from sib.data.mask_names import LABELS, is_of_masks
from sib.data.readers.kinds import ending_of, is_image
from sib.utils.errors import InputError

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
    masks: list[Path]
    """The images in folders of masks, which are left out."""


def list_folders(folder: Path) -> list[Path]:
    """The folders in a folder by name, without those of file systems, archivers and runs."""
    folders = (path for path in folder.iterdir() if path.is_dir() and not _holds_a_run(path))
    return sorted(path for path in folders if path.name[0] != "." and path.name not in OF_SYSTEMS)


def _holds_a_run(folder: Path) -> bool:
    """Whether a folder is one that ``sib train`` wrote, with ``--out`` among the images."""
    return all((folder / name).is_file() for name in ("config.yaml", "metrics.jsonl"))


def list_files(folder: Path, mask_ending: str | None = None) -> Listing:
    """All images below a folder, and what is not read there.

    Left out are the masks beside photographs (see `beside.owner`) and, where there are images
    outside of them, the folders ``masks`` and the like (see `mask_names.is_of_masks`).
    """
    listed: list[tuple[Path, list[str], bool]] = []
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name[0] != "." and name not in OF_SYSTEMS]
        below = Path(parent).relative_to(folder).parts
        of_masks = mask_ending != NONE and any(map(is_of_masks, below))
        listed.append((Path(parent), files, of_masks))
    outside = any(is_image(name) for _, files, of_masks in listed if not of_masks for name in files)
    images: list[Path] = []
    of_folders: list[Path] = []
    unread: Counter[str] = Counter()
    for path, files, of_masks in listed:
        unread.update(ending_of(n) for n in files if n[0] != "." and not is_image(n))
        if of_masks and outside:
            of_folders += [path / name for name in files if is_image(name)]
        else:
            masks = masks_among(files, mask_ending)
            images += [path / name for name in files if is_image(name) and name not in masks]
    return Listing(sorted(images), unread, sorted(of_folders))


def check_for_twins(images: list[Path], mask_ending: str | None) -> str | None:
    """Look for images that have a twin beside nearly each of them; see `beside.find_twins`.

    Args:
        images: without known masks.
        mask_ending: the ending that settles which twins are masks, where it was given.

    Returns:
        For an ending, a sentence about twins with another one, which count as photographs; else
        None.

    Raises:
        InputError: there are twins, and no ending was given.
    """
    folders: dict[Path, list[str]] = {}
    for image in images:
        folders.setdefault(image.parent, []).append(image.name)
    names = list(folders.values())
    if mask_ending is None:
        check_samples(names)
        check_twins(names)
    others = None if mask_ending in (None, NONE) else find_twins(names)
    return f"{others}; these count as photographs" if others else None


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
