"""The layout of Stanford Dogs: images, lists in MATLAB's format, boxes in XML."""

from pathlib import Path, PurePosixPath
from typing import Any

from sib.data.layout import Layout, check_classes, check_trained
from sib.data.readers.matlab import Table, read_mats
from sib.data.sample import BoxFile, Record
from sib.utils.errors import InputError

LISTS = ("train_list.mat", "test_list.mat")


def matches(folder: Path) -> bool:
    """Whether a folder has this layout."""
    found = all(_list(folder, name).is_file() for name in LISTS)
    return found and (folder / "Images").is_dir()


def read(folder: Path) -> Layout:
    """Read the two lists, in ``lists`` or beside ``Images``, which is how their archive unpacks.

    ``train_list.mat`` and ``test_list.mat``: ``file_list``, paths below ``Images``, and
    ``labels``, from 1, in the order of the classes; a class is named by its folder
    without the number before ``-``.

    Foregrounds are the boxes in ``Annotation/<class>/<stem>``, of several their union.

    Raises:
        InputError: a bad list, a missing image or annotation, fewer than two classes, an image in
            both lists.
    """
    files = [_list(folder, name) for name in LISTS]
    tables = read_mats(files, ["file_list", "labels"])
    rows = dict(zip(LISTS, map(_rows, files, tables), strict=True))
    folders = _class_folders(rows, folder)
    labels = {number: label for label, number in enumerate(sorted(folders))}
    annotated = (folder / "Annotation").is_dir()
    train, test = (
        [_record(folder, path, labels[number], annotated, name) for path, number in rows[name]]
        for name in LISTS
    )
    classes = [folders[number].partition("-")[2] or folders[number] for number in labels]
    _check_unique(rows, folder)
    check_classes(classes, folder / "Images")
    check_trained(train, test, classes, str(_list(folder, LISTS[1])))
    return Layout("stanford_dogs", classes, train, None, test)


def _list(folder: Path, name: str) -> Path:
    below = folder / "lists" / name
    return below if below.is_file() else folder / name


def _rows(path: Path, table: dict[str, Table]) -> list[tuple[str, int]]:
    """Path below ``Images`` and label from 1 of each image."""
    files, labels = (table.get(name, Table((), [])) for name in ("file_list", "labels"))
    if not files.values or files.shape != (len(files.values), 1) or files.shape != labels.shape:
        raise InputError(
            f"{path} must hold file_list and labels as columns of one row for each image; got "
            f"shapes {files.shape} and {labels.shape}"
        )
    rows = zip(files.values, labels.values, strict=True)
    return [(_path(text, path), _label(label, path)) for text, label in rows]


def _path(text: Any, path: Path) -> str:
    parts = PurePosixPath(text).parts if isinstance(text, str) else ()
    if len(parts) != 2 or ".." in parts or parts[0] == "/" or "\0" in text:
        raise InputError(f"{path}: file_list must hold <class>/<image>; got {text!r}")
    return str(text)


def _label(label: Any, path: Path) -> int:
    if not isinstance(label, (int, float)) or not float(label).is_integer() or label < 1:
        raise InputError(f"{path}: labels must be whole numbers of at least 1; got {label!r}")
    return int(label)


def _class_folders(rows: dict[str, list[tuple[str, int]]], folder: Path) -> dict[int, str]:
    """The class folder of each label; labels and folders correspond one to one."""
    folders: dict[int, str] = {}
    for name, listed in rows.items():
        for path, number in listed:
            own = path.split("/")[0]
            if folders.setdefault(number, own) != own:
                raise InputError(
                    f"{_list(folder, name)}: label {number} is given to {folders[number]} and to "
                    f"{own}; a class has one folder"
                )
    if len(set(folders.values())) < len(folders):
        raise InputError(f"{folder}: the lists give two labels to one class folder")
    return folders


def _record(folder: Path, path: str, label: int, annotated: bool, name: str) -> Record:
    image = folder / "Images" / path
    if not image.is_file():
        raise InputError(f"{_list(folder, name)}: there is no image {image}")
    boxes = BoxFile((folder / "Annotation" / path).with_suffix("")) if annotated else None
    if boxes and not boxes.path.is_file():
        raise InputError(f"{image} has no annotation; {boxes.path} is missing")
    return Record(image, label, boxes, f"Images/{path}")


def _check_unique(rows: dict[str, list[tuple[str, int]]], folder: Path) -> None:
    seen: set[str] = set()
    for name, listed in rows.items():
        for path, _ in listed:
            if path in seen:
                raise InputError(f"{_list(folder, name)}: {path} is listed a second time")
            seen.add(path)
