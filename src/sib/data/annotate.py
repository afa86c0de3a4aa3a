"""Give a folder's images the foregrounds of an annotation file."""

import dataclasses
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sib.data.annotation_notes import NOTE, Counts, facts_of, sentences
from sib.data.layout import Layout
from sib.data.match import ImageNames
from sib.data.objects import objects_by_label
from sib.data.readers.annotations import Annotation, read_annotations
from sib.data.readers.annotations.entry import MOST_SHAPES, Shape
from sib.data.readers.decode import read_size
from sib.data.readers.masks import OVERHANG
from sib.data.sample import Box, Objects, Record, labels_of
from sib.data.shapes import Bitmap, Polygon, Runs, draw_polygon, signed_area
from sib.utils.errors import InputError

Size = tuple[int, int]


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
    _check_pixels(found.annotations, path)
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


def _check_pixels(annotations: list[Annotation], path: Path) -> None:
    """Raise InputError if all coordinates of an image lie in 0 to 1, as fractions of a side do."""
    for each in annotations:
        outlined = [
            number
            for shape in each.shapes
            if not isinstance(shape, Runs | Bitmap) and not _is_remain(shape)
            for number in _bounds(shape)
        ]
        inside = not each.relative and bool(outlined) and all(0 <= n <= 1 for n in outlined)
        if inside and not all(float(number).is_integer() for number in outlined):
            raise InputError(
                f"annotations: the coordinates in {path} lie between 0 and 1, as fractions of the "
                f"image's width and height do, in {each.where}; write them in pixels"
            )


def _is_remain(shape: Shape) -> bool:
    """Whether a shape is a point, or what is left of an outline."""
    return isinstance(shape, Box) and shape.width == shape.height == 0


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
    found = [pair for each in annotations for pair in _in_pixels(each, record, size, counts)]
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


def _in_pixels(
    annotation: Annotation, record: Record, size: Size, counts: Counts
) -> list[tuple[Shape, str | None]]:
    """The objects of an annotation that cover a pixel of the image, with their classes."""
    factors = _factors(annotation, record, size)
    if annotation.size is not None and annotation.size != size:
        counts.add("scaled", record.name)
    scaled = [_scaled(shape, *factors) for shape in annotation.shapes]
    for shape in scaled:
        if isinstance(shape, Runs | Bitmap):
            _check_shape((shape.height, shape.width), size, annotation.where, record)
    classes = annotation.classes or (None,) * len(scaled)
    for _ in range(annotation.doubts):
        counts.add("undecided", record.name)
    kept = [pair for pair in zip(scaled, classes, strict=True) if _covers(pair[0], size)]
    for _ in range(len(scaled) - len(kept)):
        counts.add("without_area", record.name)
    for shape, _ in kept:
        if _leaves(shape, size):
            counts.add("clipped", record.name)
    return kept


def _factors(annotation: Annotation, record: Record, size: Size) -> tuple[float, float]:
    """Factors for x and y."""
    height, width = size
    if annotation.relative:
        return float(width), float(height)
    if annotation.size is None:
        return 1.0, 1.0
    _check_shape(annotation.size, size, annotation.where, record)
    return width / annotation.size[1], height / annotation.size[0]


def _check_shape(annotated: Size, size: Size, where: str, record: Record) -> None:
    """Raise InputError unless two sizes are the same up to a scale and its rounding."""
    (height, width), (other_height, other_width) = annotated, size
    rounding = max(height + width, other_height + other_width) / 2
    if abs(height * other_width - width * other_height) > rounding:
        turned = annotated == (other_width, other_height)
        hint = ", which its EXIF orientation may have turned" if turned else ""
        raise InputError(
            f"{where} was made on an image of {width} × {height} pixels, but {record.name} has "
            f"{other_width} × {other_height}{hint}; an annotation must have its image's shape"
        )


def _scaled(shape: Shape, across: float, down: float) -> Shape:
    if isinstance(shape, Box):
        left, width = shape.left * across, shape.width * across
        return Box(left, shape.top * down, width, shape.height * down)
    if isinstance(shape, Polygon):
        return Polygon(tuple((x * across, y * down) for x, y in shape.points))
    return shape


def _covers(shape: Shape, size: Size) -> bool:
    """Whether a shape has an area in its image."""
    if isinstance(shape, Runs):
        return any(shape.counts[1::2])
    if isinstance(shape, Bitmap):  # a blank one is left out when it is read
        return True
    left, top, right, bottom = _bounds(shape)
    if isinstance(shape, Box):
        return _has_centre(left, right, size[1]) and _has_centre(top, bottom, size[0])
    inside = left < size[1] and right > 0 and top < size[0] and bottom > 0
    # halves of a crossed outline may cancel
    return inside and (signed_area(shape.points) != 0 or _draws(shape, size))


def _has_centre(low: float, high: float, side: int) -> bool:
    """Whether a pixel's centre lies in an interval on an axis of ``side`` pixels."""
    return max(0, math.ceil(low - 0.5)) < min(side, math.ceil(high - 0.5))


def _draws(shape: Polygon, size: Size) -> bool:
    return bool(draw_polygon(shape.points, size).any())


def _leaves(shape: Shape, size: Size) -> bool:
    if isinstance(shape, Runs | Bitmap):
        return False
    left, top, right, bottom = _bounds(shape)
    return max(-left, -top, right - size[1], bottom - size[0]) > OVERHANG


def _bounds(shape: Box | Polygon) -> tuple[float, float, float, float]:
    if isinstance(shape, Box):
        return shape.left, shape.top, shape.left + shape.width, shape.top + shape.height
    x, y = zip(*shape.points, strict=True)
    return min(x), min(y), max(x), max(y)
