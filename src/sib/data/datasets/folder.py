"""The user's own folders: class folders, alone or below ``train`` and ``test``."""

from collections import Counter
from pathlib import Path
from typing import Any

from sib.data.alike import alike_names, quoted
from sib.data.files import check_for_twins, list_folders, printable
from sib.data.layout import ClassImages, Layout, class_images
from sib.data.mask_folders import mask_folders
from sib.data.mask_names import is_of_masks
from sib.data.mask_search import MaskSearch
from sib.data.readers.kinds import is_image
from sib.data.sample import Record
from sib.data.split_names import find_splits, names_split, split_of
from sib.utils.errors import InputError


def has_splits(root: Path) -> bool:
    """Whether a folder, or ``images`` in it, holds splits; see `split_names.find_splits`."""
    return find_splits(_images(root)) is not None


def _images(root: Path) -> Path:
    """The folder of splits: ``images`` if the root itself holds none."""
    inner = root / "images"
    return inner if inner.is_dir() and find_splits(root) is None else root


def read_splits(root: Path, masks: Path | None, mask_ending: str | None = None) -> Layout:
    """Read ``train/<class>/*`` and, where present, ``val/<class>/*`` and ``test/<class>/*``.

    The folders may have the other usual names of splits, see `split_names.WORDS`. Masks are those
    of `mask_finder.MaskFinder`, whose trees are ``masks/train/<class>/*`` and so on, and others
    that `mask_folders` finds.

    Args:
        root: the folder.
        masks: root of the parallel tree of masks in place of all other places.
        mask_ending: what follows an image's name in its mask's; see `beside.owner`.

    Returns:
        `Layout`; without a test split where the folder has none, and without training images where
        it has no ``train``, for measuring alone.

    Raises:
        InputError: an empty class, too few classes, a class without training images, or masks of
            an unknown name among the images.
    """
    given, root = root, _images(root)
    found = find_splits(root)
    assert found is not None  # as `has_splits` has found
    folders = {split: found.splits[split] for split in _WORDS if split in found.splits}
    beside = [mask_folders(place, beside_images=True) for place in sorted({root, given})]
    beside += [mask_folders(folder) for folder in folders.values()]
    search = MaskSearch(given, root, beside, masks, mask_ending)
    images = {
        split: class_images(folder, _without(list_folders(folder), search.folders), mask_ending)
        for split, folder in folders.items()
    }
    twins = check_for_twins([path for part in images.values() for path in _all(part)], mask_ending)
    classes = sorted(images.get("train", next(iter(images.values()))).images)
    for split, part in images.items():
        _check_known(part, classes, found.splits[split])
    records, notes = search.settle(
        {split: _records(root, part, classes, search) for split, part in images.items()},
        [mask for part in images.values() for mask in part.masks],
    )
    notes |= _notes([root, *found.splits.values()], list(images.values()))
    notes["folders"] = {split: printable(path.name) for split, path in found.splits.items()}
    left_out = [printable(f.name) for f in _without(found.others, search.folders)]
    layout = [word for split, word in _WORDS.items() if split in images]
    return Layout(
        ", ".join(layout),
        classes,
        records.get("train", []),
        records.get("validation"),
        records.get("test"),
        notes
        | ({"folders_left_out": left_out} if left_out else {})
        | ({"twins": twins} if twins else {}),
    )


_WORDS = {"train": "train", "validation": "val", "test": "test"}


def read_pool(root: Path, masks: Path | None, mask_ending: str | None = None) -> Layout:
    """Read ``<class>/*``.

    Masks are those of `mask_finder.MaskFinder`, whose tree is ``masks/<class>/*`` or another that
    `mask_folders` finds; such a folder is not a class.

    Args:
        root: the folder.
        masks: root of the parallel tree of masks in place of all other places.
        mask_ending: what follows an image's name in its mask's; see `beside.owner`.

    Returns:
        `Layout` without splits of its own.

    Raises:
        InputError: an empty class, too few classes, or masks of an unknown name among the images.
    """
    search = MaskSearch(root, root, [mask_folders(root)], masks, mask_ending)
    folders = _without(list_folders(root), search.folders)
    _check_mirrors(folders)
    alike = _check_splits(folders)
    images = class_images(root, folders, mask_ending)
    twins = check_for_twins(_all(images), mask_ending)
    classes = sorted(images.images)
    records, notes = search.settle({"train": _records(root, images, classes, search)}, images.masks)
    notes |= _notes([root], [images]) | ({"classes_alike": alike} if alike else {})
    notes |= {"twins": twins} if twins else {}
    return Layout("classes", classes, records["train"], None, None, notes)


def _without(folders: list[Path], excluded: list[Path]) -> list[Path]:
    resolved = [path.resolve() for path in excluded]
    return [folder for folder in folders if folder.resolve() not in resolved]


def _all(part: ClassImages) -> list[Path]:
    return [path for paths in part.images.values() for path in paths]


def _check_mirrors(folders: list[Path]) -> None:
    """Raise InputError if a folder holds folders with the other classes' names, as masks do."""
    names = {folder.name for folder in folders}
    for folder in folders:
        inner = [path.name for path in list_folders(folder)]
        if len(inner) > 1 and set(inner) <= names - {folder.name}:
            raise InputError(
                f"{folder} holds folders with the names of the classes: give --input.masks "
                f"{folder} if it holds masks, or move it away"
            )


def _check_splits(folders: list[Path]) -> list[str]:
    """The folders that each folder holds, where these are the same in all and may be the classes.

    Raises:
        InputError: the name of a folder has the word of a split in it, or all classes hold splits.
    """
    inner = [
        {path.name for path in list_folders(folder) if not is_of_masks(path.name)}
        for folder in folders
    ]
    if len(folders) < 2 or len(inner[0]) < 2 or any(names != inner[0] for names in inner):
        return []
    if any(is_image(path.name) for folder in folders for path in folder.iterdir()):
        return []
    if all(map(split_of, inner[0])):
        raise InputError(
            f"{folders[0].parent}: each class holds the splits {' and '.join(sorted(inner[0]))}; a "
            f"split lies above its classes, as in train/{printable(folders[0].name)}"
        )
    for folder in folders:
        if names_split(folder.name):
            raise InputError(
                f"{folder} is a split by its name, and {folder.parent} holds only folders with the "
                f"same classes in them: rename them to train, val and test, or move away those "
                "that are not used"
            )
    return sorted(map(printable, inner[0]))


def _records(root: Path, part: ClassImages, classes: list[str], search: MaskSearch) -> list[Record]:
    records = []
    for label, name in enumerate(classes):
        for image in part.images.get(name, []):
            mask = search.find(image, part.folders[name])
            relative = printable(image.relative_to(root).as_posix())
            records.append(Record(image, label, mask, relative))
    return records


def _notes(folders: list[Path], parts: list[ClassImages]) -> dict[str, Any]:
    """What is not read, for the record."""
    unread = sum((part.unread for part in parts), Counter[str]())
    loose = sum(is_image(path.name) for folder in folders for path in folder.iterdir())
    notes: dict[str, Any] = {"unread": dict(sorted(unread.items()))} if unread else {}
    return notes | ({"images_without_class": loose} if loose else {})


def _check_known(part: ClassImages, classes: list[str], folder: Path) -> None:
    unknown = sorted(set(part.images) - set(classes))
    for name in unknown:
        twin = next((each for each in classes if alike_names([each, name])), None)
        if twin is not None:
            one, other = quoted([name, twin])
            raise InputError(
                f"{folder} has the class {one}, which train has as {other}; give both folders the "
                "same name, letter by letter"
            )
    if unknown:
        raise InputError(
            f"{folder} has the class {unknown[0]}, which train lacks; each class that is tested "
            "must be trained"
        )
