"""The layout of CUB-200-2011: images and their facts in text files with an id on each line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from sib.data.files import is_file, read_lines, stays_below
from sib.data.layout import Layout, check_classes, check_trained
from sib.data.sample import Box, MaskFile, MaskRule, Record
from sib.utils.errors import InputError

FOLDER = "CUB_200_2011"
FILES = ("images.txt", "train_test_split.txt", "image_class_labels.txt")
Value = TypeVar("Value")


def matches(root: Path) -> bool:
    """Whether a folder has this layout."""
    return all((root / name).is_file() for name in FILES)


def read(root: Path, masks: Path | None = None) -> Layout:
    """Read ``images.txt`` and the other tables.

    ``images.txt``: id and path below ``images``. ``train_test_split.txt``: id and 1 for training,
    0 for the test. ``image_class_labels.txt``: id and class id; classes are in the numeric order
    of their ids. ``classes.txt``, optional: class id and name.

    Foregrounds are ``segmentations/<path>.png`` with values of at least 128, which is half of the
    annotators; an image without one takes its box from ``bounding_boxes.txt``, optional: id, x, y,
    width, height. Beside a folder that bears the official name ``CUB_200_2011`` the
    ``segmentations`` may lie as well, where their archive unpacks.

    Args:
        root: the folder.
        masks: folder that replaces ``segmentations``.

    Returns:
        `Layout`.

    Raises:
        InputError: a malformed line, a duplicate, unknown or missing id, a missing image, fewer
            than two classes, a class without a training image.
    """
    paths = _read_table(root / "images.txt", "<id> <path>", 1, lambda words: words[0])
    for path in paths.values():
        if not stays_below(path):
            raise InputError(f"{root / FILES[0]}: {path!r} is not a path below {root / 'images'}")
    training = _read_column(root / FILES[1], "<id> <0 or 1>", paths, 1, _flag)
    class_ids = _read_column(root / FILES[2], "<id> <class id>", paths, 1, _id)
    names = _class_names(root, sorted(set(class_ids.values())), paths, class_ids)
    boxes = _read_boxes(root, paths)
    labels = {identity: label for label, identity in enumerate(names)}
    masks = masks or _segmentations(root)
    records = {
        key: _record(root, path, labels[class_ids[key]], boxes.get(key), masks)
        for key, path in paths.items()
    }
    train = [record for key, record in records.items() if training[key]]
    test = [record for key, record in records.items() if not training[key]]
    classes = list(names.values())
    _check_complete(root, train, test, classes)
    return Layout("cub", classes, train, None, test)


def _segmentations(root: Path) -> Path:
    own, beside = root / "segmentations", root.parent / "segmentations"
    return beside if root.name == FOLDER and beside.is_dir() and not own.is_dir() else own


def _record(root: Path, path: str, label: int, box: Box | None, masks: Path) -> Record:
    image = root / "images" / path
    if not is_file(image):
        raise InputError(f"{root / 'images.txt'}: there is no image {image}")
    mask = (masks / path).with_suffix(".png")
    foreground: MaskFile | tuple[Box, ...] | None = (box,) if box else None
    if is_file(mask):
        foreground = MaskFile(mask, MaskRule.HALF)
    return Record(image, label, foreground, image.relative_to(root).as_posix())


def _class_names(
    root: Path, used: list[int], paths: dict[int, str], class_ids: dict[int, int]
) -> dict[int, str]:
    """Names by class id, in numeric order; an image's folder if there is no classes.txt."""
    file = root / "classes.txt"
    if not file.is_file():
        folders = {class_ids[key]: Path(path).parts[0] for key, path in paths.items()}
        return {identity: folders[identity] for identity in used}
    names = _read_table(file, "<class id> <name>", 1, lambda words: words[0])
    for identity in sorted(set(names) ^ set(used)):
        problem = "no image shows" if identity in names else "there is no line for"
        raise InputError(f"{file}: {problem} class {identity}, and each class needs both")
    return dict(sorted(names.items()))


def _read_boxes(root: Path, paths: dict[int, str]) -> dict[int, Box]:
    file = root / "bounding_boxes.txt"
    if not file.is_file():
        return {}
    form = "<id> <x> <y> <width> <height>"
    return _read_column(file, form, paths, 4, lambda words: Box(*map(_number, words)))


def _read_column(
    file: Path, form: str, paths: dict[int, str], count: int, parse: Callable[[list[str]], Value]
) -> dict[int, Value]:
    """A table with exactly one line for each image."""
    table = _read_table(file, form, count, parse, known=paths)
    for identity in paths:
        if identity not in table:
            raise InputError(f"{file}: there is no line for image id {identity}")
    return table


def _read_table(
    file: Path,
    form: str,
    count: int,
    parse: Callable[[list[str]], Value],
    known: dict[int, Any] | None = None,
) -> dict[int, Value]:
    """The value of each id; ``count`` words follow the id."""
    table: dict[int, Value] = {}
    for place, line in read_lines(file):
        # a path or name may hold spaces, so a single word is the rest of the line
        words = line.split(maxsplit=1) if count == 1 else line.split()
        try:
            if len(words) != count + 1:
                raise ValueError
            identity, value = _id(words[:1]), parse(words[1:])
        except ValueError:
            raise InputError(f"{place}: expected {form}; got {line!r}") from None
        if identity in table:
            raise InputError(f"{place}: id {identity} is duplicated")
        if known is not None and identity not in known:
            raise InputError(f"{place}: images.txt has no image id {identity}")
        table[identity] = value
    return table


def _id(words: list[str]) -> int:
    if not words[0].isascii() or not words[0].isdigit():
        raise ValueError
    return int(words[0])


def _flag(words: list[str]) -> bool:
    if words[0] not in ("0", "1"):
        raise ValueError
    return words[0] == "1"


def _number(word: str) -> float:
    value = float(word)
    if not abs(value) < float("inf"):
        raise ValueError
    return value


def _check_complete(
    root: Path, train: list[Record], test: list[Record], classes: list[str]
) -> None:
    if not train or not test:
        raise InputError(f"{root / FILES[1]}: at least one image needs a 1 and one a 0")
    check_classes(classes, root / "images")
    check_trained(train, test, classes, str(root / FILES[1]))
