"""The layout of the Leeds Butterfly data set, with a folder ``images`` of class folders."""

from pathlib import Path

from sib.data.files import find_mask, list_folders, read_lines
from sib.data.layout import Layout, check_trained, class_images
from sib.data.sample import MaskFile, MaskRule, Record
from sib.utils.errors import InputError

SPLITS = ("train.txt", "test.txt")


def matches(root: Path) -> bool:
    """Whether a folder has this layout."""
    return (root / "images").is_dir()


def read(root: Path, masks: Path | None) -> Layout:
    """Read ``images/<class>/*`` and what may stand beside it.

    ``segmentations/<class>/<stem>_seg0.png``: palette or grey masks of the values 0 to 3, of
    which 1 and 3 are foreground. An image without one takes the masks of `find_mask`, whose tree
    is ``masks/<class>/<stem>.png``.

    ``train.txt`` and ``test.txt``: the split, a line ``<class>/<stem>`` for each image; images in
    neither are left out. Without these files all images are one pool.

    Args:
        root: the folder.
        masks: root of the parallel tree of masks in place of ``masks``; it goes before
            ``segmentations``.

    Returns:
        `Layout`.

    Raises:
        InputError: an empty class, too few classes, or a bad list.
    """
    records = _read_records(root, masks)
    classes = sorted({Path(key).parts[0] for key in records})
    present = [name for name in SPLITS if (root / name).is_file()]
    if not present:
        return Layout("images", classes, list(records.values()), None, None)
    train, test = (_read_list(root / name, records) for name in SPLITS)
    _check_disjoint(train, test, root)
    check_trained(train, test, classes, str(root / "test.txt"))
    unlisted = len(records) - len(train) - len(test)
    return Layout("images, lists", classes, train, None, test, {"unlisted": unlisted})


def _read_records(root: Path, masks: Path | None) -> dict[str, Record]:
    """Every image by its ``<class>/<stem>``."""
    folder = root / "images"
    images = class_images(folder, list_folders(folder))
    records: dict[str, Record] = {}
    for label, name in enumerate(sorted(images)):
        for image in images[name]:
            relative = image.relative_to(folder)
            key = relative.with_suffix("").as_posix()
            if key in records:
                raise InputError(f"{records[key].image} and {image} share one stem; rename one")
            foreground = _foreground(root, image, relative, masks)
            records[key] = Record(image, label, foreground, image.relative_to(root).as_posix())
    return records


def _foreground(root: Path, image: Path, relative: Path, masks: Path | None) -> MaskFile | None:
    coded = root / "segmentations" / relative.with_name(relative.stem + "_seg0.png")
    if masks is None and coded.is_file():
        return MaskFile(coded, MaskRule.LEEDS)
    return find_mask(image, masks or root / "masks", relative)


def _read_list(path: Path, records: dict[str, Record]) -> list[Record]:
    listed: dict[str, Record] = {}
    for place, line in read_lines(path):
        if len(line.split("/")) < 2 or len(line.split()) != 1:
            raise InputError(f"{place}: expected <class>/<stem>; got {line!r}")
        if line not in records:
            raise InputError(f"{place}: there is no image images/{line}.*")
        if line in listed:
            raise InputError(f"{place}: {line} is listed twice")
        listed[line] = records[line]
    if not listed:
        raise InputError(f"{path} lists no image; it needs lines <class>/<stem>")
    return list(listed.values())


def _check_disjoint(train: list[Record], test: list[Record], root: Path) -> None:
    both = {record.name for record in train} & {record.name for record in test}
    if both:
        raise InputError(
            f"{root}: train.txt and test.txt both list {min(both)}; an image belongs to one of them"
        )
