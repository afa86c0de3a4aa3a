"""Open the images that a run recorded, in the splits that it recorded."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sib.data.datasets import published
from sib.data.describe import describe
from sib.data.files import printable
from sib.data.identity import ImageRow, class_names, find_images
from sib.data.locate import locate_data, read_parts, readable
from sib.data.open import MOST_NAMED, Reading, Splits, checked
from sib.data.readers.masks import OVERHANG
from sib.data.records import RecordSource
from sib.utils.errors import InputError

HELD = "as the run recorded it"


class OtherImages(InputError):
    """A folder does not hold the images that were recorded."""


def open_recorded(
    data: str,
    rows: Sequence[ImageRow],
    split: str,
    *,
    root: Path,
    masks: str | None = None,
    mask_ending: str | None = None,
    value_range: str | None = None,
    image_size: int | None = None,
    skip_bad: bool = False,
    say: Callable[[str], object] = lambda sentence: None,
) -> Splits:
    """The splits that a run recorded, from its folder or another one that holds its images.

    Args:
        data: published set or folder.
        rows: what the run recorded.
        split: whose images must all be there with the recorded classes and contents.
        root: of the published sets.
        masks: see `open_data`, as the following.
        mask_ending: as above.
        value_range: as above.
        image_size: as above.
        skip_bad: as above.
        say: is called with a sentence about images that were added or are missing elsewhere.

    Returns:
        `Splits` of the recorded images that are there.

    Raises:
        OtherImages: an image of the split is missing or differs.
        InputError: a problem with a file.
    """
    folder = locate_data(data, root)
    parts = read_parts(data, root, masks, mask_ending, value_range)
    sources = [s for s in (parts.train, parts.validation, parts.test) if s is not None]
    records = [r for s in sources if isinstance(s, RecordSource) for r in s.records]
    found = find_images(rows, records, parts.classes, split)
    if found.differences:
        raise OtherImages(
            f"{folder} does not hold the {split} images that the run recorded: "
            f"{'; '.join(found.differences)}"
        )
    if found.notes:
        say(f"{folder}: {'; '.join(found.notes)}; the {split} images are those of the run")
    classes = class_names(rows)
    stretched = sources[0].value_range if isinstance(sources[0], RecordSource) else None
    known = {name: RecordSource(r, classes, stretched) for name, r in found.records.items()}
    overhang = float("inf") if data in published.READERS else OVERHANG
    with readable(folder):
        kept, left_out = checked({split: known[split]}, Reading(overhang, image_size, skip_bad))
    all_kept = known | {split: kept[split]}
    facts: dict[str, Any] = {"layout": parts.name, "split_rule": HELD, **parts.notes}
    if left_out:
        facts |= {"unreadable": len(left_out), "unreadable_first": left_out[:MOST_NAMED]}
    name = data if data in published.READERS else printable(folder.resolve().name)
    description = describe(all_kept, **facts)
    order = (all_kept["train"], all_kept["validation"], all_kept["test"])
    return Splits(*order, classes, name, description, folder.resolve())
