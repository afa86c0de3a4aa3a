"""Folders of images with several labels each, which a CSV gives: ``--labels``."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sib.data.files import list_files, list_folders, printable
from sib.data.layout import Layout
from sib.data.mask_folders import mask_folders
from sib.data.mask_search import MaskSearch
from sib.data.match import ImageNames
from sib.data.readers.label_table import LabelTable, read_label_table
from sib.data.sample import Record
from sib.data.split_names import by_split
from sib.utils.errors import InputError

NOTE = "labels"
"""Name of the facts about the labels among a layout's notes."""
SHOWN = 10
"""Labels whose counts a sentence names."""


@dataclass(frozen=True)
class _Images:
    """The images of a folder, by split; all under ``train`` where it has no splits."""

    by_split: dict[str, list[Path]]
    bases: list[Path]
    top: Path
    """``images`` in the folder if the images are there, else the folder; masks lie parallel."""
    unread: Counter[str]


def read_several(
    root: Path, labels: Path | None, masks: Path | None, mask_ending: str | None = None
) -> Layout:
    """Read the images anywhere below a folder, with the labels of a table.

    Folders ``train``, ``val`` and ``test``, under these or other usual names, in the folder or in
    ``images``, are splits. Other folders mean nothing.

    Args:
        root: the folder.
        labels: of the table, see `read_label_table`; None for images whose labels are known from
            elsewhere, which then have none.
        masks: root of the parallel tree of masks in place of all other places.
        mask_ending: what follows an image's name in its mask's; see `beside.owner`.

    Returns:
        `Layout`, whose records have tuples of labels. Images that the table does not name are left
        out and counted in the notes.

    Raises:
        InputError: the table cannot be read, names an unknown image or one twice, a split has a
            label that no training image has, or two folders have the name of one split.
    """
    found = mask_folders(root, beside_images=True)
    images = _images(root, mask_ending, found.all if masks is None else [*found.all, masks])
    inside = [mask_folders(base) for base in images.bases]
    search = MaskSearch(root, images.top, [found, *inside], masks, mask_ending)
    paths = [path for own in images.by_split.values() for path in own]
    names = {path: printable(path.relative_to(root).as_posix()) for path in paths}
    table = None if labels is None else read_label_table(labels)
    known = None if table is None else _labels_of(table, list(names.values()))
    records = {
        split: [
            Record(path, known[names[path]] if known else (), search.find(path, root), names[path])
            for path in own
            if known is None or names[path] in known
        ]
        for split, own in images.by_split.items()
    }
    classes = [] if table is None else table.classes
    records, notes = search.settle(records)
    notes |= {"unread": dict(images.unread)} if images.unread else {}
    if table is not None:
        _check_splits(root, images, records, table)
        notes[NOTE] = _facts(table, records, len(paths))
        _check_trained(records, table)
    return Layout(
        "images with several labels",
        classes,
        records["train"],
        records.get("validation"),
        records.get("test"),
        notes,
    )


def _images(root: Path, mask_ending: str | None, excluded: list[Path]) -> _Images:
    inner = root / "images"
    for base in (root, inner) if inner.is_dir() else (root,):
        found = by_split([path for path in list_folders(base) if path not in excluded])
        if "train" in found:
            listings = {split: list_files(path, mask_ending) for split, path in found.items()}
            unread = sum((each.unread for each in listings.values()), Counter[str]())
            images = {split: each.images for split, each in listings.items()}
            return _Images(images, list(found.values()), base, unread)
    listing = list_files(root, mask_ending)
    kept = [p for p in listing.images if not any(p.is_relative_to(tree) for tree in excluded)]
    if not kept:
        raise InputError(f"{root} holds no image")
    unread = Counter({ending: n for ending, n in listing.unread.items() if ending != ".csv"})
    if inner.is_dir():
        return _Images({"train": kept}, [inner], inner, unread)
    return _Images({"train": kept}, [], root, unread)


def _labels_of(table: LabelTable, names: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """The labels by the name of the image."""
    images = ImageNames(names)
    found: dict[str, tuple[int, ...]] = {}
    unknown = []
    for row in table.rows:
        place = images.find(row.image, row.where)
        if place is None:
            unknown.append(row)
            continue
        name = names[place]
        if name in found:
            raise InputError(f"{row.where}: {row.image} has a row already; each image needs one")
        found[name] = row.labels
    if unknown:
        raise InputError(
            f"{unknown[0].where}: there is no image {unknown[0].image} in the folder; "
            f"{len(unknown)} of {len(table.rows)} rows name an unknown image"
        )
    return found


def _facts(table: LabelTable, records: dict[str, list[Record]], images: int) -> dict[str, Any]:
    every = [record for own in records.values() for record in own]
    counts = Counter(label for record in every for label in record.label)  # type: ignore[union-attr]
    return {
        "format": table.format,
        "images": len(every),
        "without_row": images - len(every),
        "without_label": sum(not record.label for record in every),
        "per_image": round(sum(counts.values()) / max(len(every), 1), 3),
        "counts": {name: counts[label] for label, name in enumerate(table.classes)},
    }


def _check_splits(
    root: Path, images: _Images, records: dict[str, list[Record]], table: LabelTable
) -> None:
    for split, paths in images.by_split.items():
        if paths and not records[split]:
            raise InputError(
                f"{table.path} names none of the {len(paths)} {split} images of {root}: add their "
                "rows, or move them out of the folder"
            )


def _check_trained(records: dict[str, list[Record]], table: LabelTable) -> None:
    train = {label for record in records["train"] for label in record.label}  # type: ignore[union-attr]
    lacking = [name for label, name in enumerate(table.classes) if label not in train]
    if lacking:
        raise InputError(
            f"{table.path}: no training image has the label {lacking[0]}; each label needs one"
        )


def label_sentences(notes: dict[str, Any]) -> list[str]:
    """What was understood of the labels, from a layout's notes; none where there are no labels."""
    facts = notes.get(NOTE)
    if not facts:
        return []
    counts = sorted(facts["counts"].items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"{name} {count}" for name, count in counts[:SHOWN])
    more = f" and {len(counts) - SHOWN} more" if len(counts) > SHOWN else ""
    found = [
        f"labels: {facts['format']}; {facts['images']} images, {facts['per_image']:g} labels an "
        f"image on average, {facts['without_label']} without any; {shown}{more}"
    ]
    if facts["without_row"]:
        found.append(f"left out: {facts['without_row']} images that the labels do not name")
    return found
