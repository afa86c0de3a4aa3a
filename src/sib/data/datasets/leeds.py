"""The layout of the Leeds Butterfly data set, with a folder ``images`` of class folders."""

from pathlib import Path
from typing import Any

from sib.data.files import check_for_twins, list_folders, printable, read_lines
from sib.data.layout import Layout, check_trained, class_images
from sib.data.mask_folders import mask_folders
from sib.data.mask_search import MaskSearch
from sib.data.sample import MaskFile, MaskRule, Record
from sib.utils.errors import InputError

SPLITS = ("train.txt", "test.txt")


def matches(root: Path) -> bool:
    """Whether a folder has this layout."""
    return (root / "images").is_dir()


def read(root: Path, masks: Path | None, mask_ending: str | None = None) -> Layout:
    """Read ``images/<class>/*`` and what may lie beside it.

    ``segmentations/<class>/<stem>_seg0.png``: palette or grey masks of the values 0 to 3, of
    which 1 and 3 are foreground. An image without one takes the masks of
    `mask_finder.MaskFinder`, whose tree is ``masks/<class>/*``, or another that `mask_folders`
    finds.

    ``train.txt`` and ``test.txt``: the split, a line ``<class>/<stem>`` for each image; images in
    neither are left out. Without these files all images are one pool.

    Args:
        root: the folder.
        masks: root of the parallel tree of masks in place of all other places.
        mask_ending: what follows an image's name in its mask's; see `beside.owner`.

    Returns:
        `Layout`.

    Raises:
        InputError: an empty class, too few classes, or a bad list.
    """
    records, notes = _read_records(root, masks, mask_ending)
    classes = sorted({Path(key).parts[0] for key in records})
    present = [name for name in SPLITS if (root / name).is_file()]
    if not present:
        return Layout("images", classes, list(records.values()), None, None, notes)
    train, test = (_read_list(root / name, records) for name in SPLITS)
    _check_disjoint(train, test, root)
    check_trained(train, test, classes, str(root / "test.txt"))
    notes["unlisted"] = len(records) - len(train) - len(test)
    return Layout("images, lists", classes, train, None, test, notes)


def _read_records(
    root: Path, masks: Path | None, mask_ending: str | None
) -> tuple[dict[str, Record], dict[str, Any]]:
    """Every image by its ``<class>/<stem>``, and what is not read."""
    folder = root / "images"
    beside = [mask_folders(root, beside_images=True), mask_folders(folder)]
    search = MaskSearch(root, folder, beside, masks, mask_ending)
    classes = [path for path in list_folders(folder) if path not in search.folders]
    found = class_images(folder, classes, mask_ending)
    every = [path for paths in found.images.values() for path in paths]
    twins = check_for_twins(every, mask_ending)
    records: dict[str, Record] = {}
    for label, name in enumerate(sorted(found.images)):
        for image in found.images[name]:
            relative = image.relative_to(folder)
            key = printable(relative.with_suffix("").as_posix())
            if key in records:
                raise InputError(f"{records[key].image} and {image} share one stem; rename one")
            coded = root / "segmentations" / relative.with_name(relative.stem + "_seg0.png")
            foreground = (
                MaskFile(coded, MaskRule.LEEDS)
                if masks is None and coded.is_file()
                else search.find(image, found.folders[name])
            )
            place = printable(image.relative_to(root).as_posix())
            records[key] = Record(image, label, foreground, place)
    settled, notes = search.settle({"": list(records.values())}, found.masks)
    others = [f.name for f in list_folders(root) if f not in (folder, *search.folders)]
    notes |= {"unread": dict(sorted(found.unread.items()))} if found.unread else {}
    notes |= {"folders_left_out": list(map(printable, others))} if others else {}
    notes |= {"twins": twins} if twins else {}
    return dict(zip(records, settled[""], strict=True)), notes


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
