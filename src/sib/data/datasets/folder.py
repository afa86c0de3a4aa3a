"""Folders of a user's own: class folders, alone or below ``train`` and ``test``."""

from pathlib import Path

from sib.data.files import find_mask, list_folders
from sib.data.layout import Layout, class_images
from sib.data.sample import Record
from sib.utils.errors import InputError

MASKS = "masks"


def has_splits(root: Path) -> bool:
    """Whether a folder holds ``train`` or ``test``."""
    return (root / "train").is_dir() or (root / "test").is_dir()


def read_splits(root: Path, masks: Path | None) -> Layout:
    """Read ``train/<class>/*``, ``test/<class>/*`` and, where present, ``val/<class>/*``.

    Masks are those of `find_mask`, whose tree is ``masks/train/<class>/<stem>.png`` and so on.

    Args:
        root: the folder.
        masks: root of the parallel tree of masks in place of ``masks``.

    Returns:
        `Layout`.

    Raises:
        InputError: an empty class, too few classes, a class without training images, or only one
            of ``train`` and ``test``.
    """
    for name in ("train", "test"):
        if not (root / name).is_dir():
            raise InputError(f"{root} has no folder {name}; train and test are needed together")
    classes = sorted(folder.name for folder in list_folders(root / "train"))
    names = ["train", "test"] + ["val"] * (root / "val").is_dir()
    images = {name: class_images(root / name, list_folders(root / name)) for name in names}
    for name in names:
        _check_known(images[name], classes, root / name)
    splits = {name: _records(root, images[name], classes, masks) for name in names}
    validation = splits.get("val")
    layout = "train, val, test" if validation else "train, test"
    return Layout(layout, classes, splits["train"], validation, splits["test"])


def read_pool(root: Path, masks: Path | None) -> Layout:
    """Read ``<class>/*``.

    Masks are those of `find_mask`, whose tree is ``masks/<class>/<stem>.png``; ``masks`` is no
    class.

    Args:
        root: the folder.
        masks: root of the parallel tree of masks in place of ``masks``.

    Returns:
        `Layout` without splits of its own.

    Raises:
        InputError: an empty class or too few classes.
    """
    excluded = [(root / MASKS).resolve()] + ([masks.resolve()] if masks else [])
    folders = [folder for folder in list_folders(root) if folder.resolve() not in excluded]
    images = class_images(root, folders)
    classes = sorted(images)
    return Layout("classes", classes, _records(root, images, classes, masks), None, None)


def _records(
    root: Path, images: dict[str, list[Path]], classes: list[str], masks: Path | None
) -> list[Record]:
    tree = masks or root / MASKS
    records = []
    for label, name in enumerate(classes):
        for image in images.get(name, []):
            relative = image.relative_to(root)
            mask = find_mask(image, tree, relative)
            records.append(Record(image, label, mask, relative.as_posix()))
    return records


def _check_known(images: dict[str, list[Path]], classes: list[str], folder: Path) -> None:
    unknown = sorted(set(images) - set(classes))
    if unknown:
        raise InputError(
            f"{folder} has the class {unknown[0]}, which train lacks; each class that is tested "
            "must be trained"
        )
