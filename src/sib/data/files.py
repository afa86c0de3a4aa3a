"""Find images, masks and list files in a folder; hidden ones are never seen."""

import os
from collections.abc import Iterator
from pathlib import Path

from sib.data.sample import MaskFile, MaskRule
from sib.utils.errors import InputError

IMAGE_KINDS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm")
MASK_ENDING = "_mask.png"


def list_folders(folder: Path) -> list[Path]:
    """The folders in a folder, sorted by name."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] != ".")


def list_images(folder: Path) -> list[Path]:
    """All images below a folder, sorted by path; not the masks ``<stem>_mask.png`` beside them."""
    paths: list[Path] = []
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name[0] != "."]
        paths += [Path(parent, name) for name in _images(files)]
    return sorted(paths)


def find_mask(image: Path, tree: Path, relative: Path) -> MaskFile | None:
    """The mask of an image in a folder of the user's own.

    Looked for as ``<stem>_mask.png`` beside the image, then as ``<relative path>.png`` in a
    parallel tree. Foreground is 1 where the mask holds 0 and 1 only, and 128 and above elsewhere.

    Args:
        image: its file.
        tree: root of the parallel tree; it need not exist.
        relative: path of the image below the root that the tree is parallel to.

    Returns:
        The mask file, None where there is none.
    """
    for path in (image.with_name(image.stem + MASK_ENDING), (tree / relative).with_suffix(".png")):
        # the tree may be the folder of the images themselves
        if path != image and path.is_file():
            return MaskFile(path, MaskRule.BINARY_OR_HALF)
    return None


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


def _images(files: list[str]) -> Iterator[str]:
    stems = {Path(name).stem for name in files if _is_image(name)}
    for name in files:
        beside = name.endswith(MASK_ENDING) and name.removesuffix(MASK_ENDING) in stems
        if _is_image(name) and not beside:
            yield name


def _is_image(name: str) -> bool:
    return name[0] != "." and name.lower().endswith(IMAGE_KINDS)
