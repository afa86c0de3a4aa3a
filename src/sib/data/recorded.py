"""Open the images that a run recorded, in the splits that it recorded."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sib.config.choices import Resize
from sib.data.datasets.catalogue import CATALOGUE
from sib.data.describe import describe
from sib.data.files import printable
from sib.data.headers import Reading, checked
from sib.data.identity import ImageRow, class_names, find_images, has_several_labels
from sib.data.layout import Parts
from sib.data.locate import check_own_options, locate_data, read_parts, readable
from sib.data.open import MOST_NAMED, Splits
from sib.data.readers.masks import OVERHANG
from sib.data.records import RecordSource
from sib.data.sample import Record
from sib.utils.errors import InputError
from sib.utils.image_size import ImageSize

HELD = "as the run recorded it"


class OtherImages(InputError):
    """A folder does not hold the recorded images."""


def open_recorded(
    data: str,
    rows: Sequence[ImageRow],
    split: str,
    *,
    root: Path,
    masks: str | None = None,
    mask_ending: str | None = None,
    value_range: str | None = None,
    annotations: str | None = None,
    image_size: ImageSize | None = None,
    resize: Resize = "crop",
    skip_bad: bool = False,
    info: Callable[[str], object] = lambda sentence: None,
) -> Splits:
    """Open the splits that a run recorded, from its folder or another that holds its images.

    Args:
        data: published set or folder.
        rows: the run's record.
        split: split whose images must all exist, with the recorded classes and contents.
        root: folder of the published sets.
        masks: see `open_data`, also for the following arguments.
        mask_ending: as above.
        value_range: as above.
        annotations: as above.
        image_size: as above.
        resize: as above.
        skip_bad: as above.
        info: called with a sentence about images that were added, or are missing in other splits.

    Returns:
        `Splits` of the recorded images that exist.

    Raises:
        OtherImages: an image of the split is missing or differs.
        InputError: a problem with a file.
    """
    check_own_options(data, masks, mask_ending, value_range, annotations)
    folder = locate_data(data, root)
    several = has_several_labels(rows)
    parts = read_parts(data, root, masks, mask_ending, value_range, several=several)
    found = find_images(rows, _records(parts), parts.classes, split)
    if found.differences:
        raise OtherImages(
            f"{folder} does not hold the {split} images that the run recorded: "
            f"{'; '.join(found.differences)}"
        )
    if found.notes:
        info(f"{folder}: {'; '.join(found.notes)}; the {split} images are those of the run")
    if annotations is not None:  # read last, because those of other images fit nowhere
        parts = read_parts(data, root, None, mask_ending, value_range, annotations, several=several)
        found = found._replace(records=_with_foregrounds(found.records, parts))
    classes = class_names(rows)
    stretched = parts.train.value_range if isinstance(parts.train, RecordSource) else None
    known = {name: RecordSource(r, classes, stretched) for name, r in found.records.items()}
    overhang = float("inf") if data in CATALOGUE else OVERHANG
    with readable(folder):
        reading = Reading(overhang, image_size, resize, skip_bad)
        kept, left_out = checked({split: known[split]}, reading)
    all_kept = known | {split: kept[split]}
    facts: dict[str, Any] = {"layout": parts.name, "split_rule": HELD, **parts.notes}
    if left_out:
        facts |= {"unreadable": len(left_out), "unreadable_first": left_out[:MOST_NAMED]}
    name = data if data in CATALOGUE else printable(folder.resolve().name)
    description = describe(all_kept, **facts)
    order = (all_kept["train"], all_kept["validation"], all_kept["test"])
    return Splits(*order, classes, name, description, folder.resolve())


def _records(parts: Parts) -> list[Record]:
    sources = [s for s in (parts.train, parts.validation, parts.test) if s is not None]
    return [r for s in sources if isinstance(s, RecordSource) for r in s.records]


def _with_foregrounds(
    records: Mapping[str, Sequence[Record]], parts: Parts
) -> dict[str, list[Record]]:
    """Records of each split with the foregrounds that the parts have for them."""
    known = {record.name: record.foreground for record in _records(parts)}
    return {
        split: [dataclasses.replace(record, foreground=known[record.name]) for record in own]
        for split, own in records.items()
    }
