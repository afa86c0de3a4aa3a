"""Give a folder's images the foregrounds of an annotation file."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sib.data.annotation_notes import NOTE, Counts, facts_of, sentences
from sib.data.layout import Layout
from sib.data.match import ImageNames
from sib.data.objects import objects_by_label
from sib.data.objects_in_pixels import check_in_pixels, objects_in_pixels
from sib.data.readers.annotations import Annotation, read_annotations
from sib.data.readers.annotations.entry import MOST_SHAPES
from sib.data.readers.decode import read_size
from sib.data.sample import Objects, Record, labels_of
from sib.utils.errors import InputError


def annotate(layout: Layout, path: Path) -> Layout:
    """The layout with the foregrounds from annotations.

    An image's objects are united. The names of their classes are kept, so that an evaluation of
    several labels an image finds the objects of one; see `objects_by_label`. If an image has
    annotations, its mask file is not used. The counts are in the layout's notes; see
    `sentences`.

    Args:
        layout: layout of the user's own folder.
        path: the annotations, see `read_annotations`.

    Returns:
        `Layout`.

    Raises:
        InputError: the annotations cannot be read, name no image or give none a foreground, were
            made on an image of another shape, or name an image ambiguously.
    """
    found = read_annotations(path.expanduser())
    check_in_pixels(found.annotations, path)
    parts = (layout.train, layout.validation, layout.test)
    records = [record for part in parts for record in part or []]
    counts = Counts()
    by_image = _by_image(found.annotations, [record.name for record in records], counts)
    changed = [
        _annotated(record, by_image.get(index, []), counts) for index, record in enumerate(records)
    ]
    _count_labels(changed, layout.classes, counts)
    facts = facts_of(found.format, changed, counts, found.ignored)
    if not counts.events["images"]:
        raise InputError(
            f"annotations: {path} gives none of the {len(records)} images a foreground: "
            + "; ".join(sentences({NOTE: facts})[1:] or ["it holds no object"])
        )
    remaining = iter(changed)
    train, validation, test = (
        None if part is None else [next(remaining) for _ in part] for part in parts
    )
    return dataclasses.replace(
        layout,
        train=train or [],
        validation=validation,
        test=test,
        notes={**_without_read(layout.notes, found.ending, path, records), NOTE: facts},
    )


def _without_read(
    notes: dict[str, Any], ending: str, path: Path, records: list[Record]
) -> dict[str, Any]:
    """The notes, with annotation files beside the images taken out of the unread files."""
    beside = any(record.image.is_relative_to(path) for record in records[:1])
    unread = {e: n for e, n in notes.get("unread", {}).items() if not (beside and e == ending)}
    rest = {name: note for name, note in notes.items() if name != "unread"}
    return rest | ({"unread": unread} if unread else {})


def _by_image(
    annotations: Iterable[Annotation], names: list[str], counts: Counts
) -> dict[int, list[Annotation]]:
    """The annotations of each image, by its index."""
    images = ImageNames(names)
    found: dict[int, list[Annotation]] = {}
    for annotation in annotations:
        places = [
            place
            for name in annotation.names
            if (place := images.find(name, annotation.where)) is not None
        ]
        if not places:
            counts.add("unmatched", annotation.names[0])
            continue
        if len(set(places)) > 1:
            first, other = names[places[0]], names[places[1]]
            raise InputError(
                f"{annotation.where} names the image {first}, but its own name matches {other}; "
                "rename one of them"
            )
        found.setdefault(places[0], []).append(annotation)
    return found


def _annotated(record: Record, annotations: list[Annotation], counts: Counts) -> Record:
    """A record with the objects of its annotations; without a foreground if there are none."""
    if not annotations:
        return record
    try:
        size = read_size(record.image)
    except InputError:  # which is reported when the image is read
        counts.add("unreadable", record.name)
        return record
    if sum(len(annotation.shapes) for annotation in annotations) > MOST_SHAPES:
        raise InputError(
            f"{annotations[0].where}: {record.name} has more than {MOST_SHAPES} objects"
        )
    found = [pair for each in annotations for pair in objects_in_pixels(each, record, size, counts)]
    shapes, classes = [shape for shape, _ in found], tuple(name for _, name in found)
    if record.foreground is not None:
        counts.add("replaced", record.name)
    if not shapes:
        counts.add("empty", record.name)
        return dataclasses.replace(record, foreground=None)
    counts.add("images", record.name)
    objects = Objects(tuple(shapes), classes if any(classes) else ())
    return dataclasses.replace(record, foreground=objects)


def _count_labels(records: list[Record], classes: list[str], counts: Counts) -> None:
    """Count objects whose class is not a label of their image, and labels without an object."""
    several = [record for record in records if isinstance(record.label, tuple)]
    for record in several if classes else []:
        objects = record.foreground
        if not isinstance(objects, Objects) or not objects.classes:
            continue
        found = objects_by_label(objects, classes)
        for _ in range(len(objects.shapes) - sum(len(own.shapes) for own in found.values())):
            counts.add("foreign", record.name)
        if set(labels_of(record.label)) - set(found):
            counts.add("lacking", record.name)
