"""What is wrong with a data set, from its files' headers: no image is decoded."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sib.config.choices import Resize
from sib.data.readers.annotation import read_boxes
from sib.data.readers.decode import read_size
from sib.data.readers.masks import OVERHANG, check_box, check_size
from sib.data.records import RecordSource
from sib.data.sample import Box, BoxFile, MaskFile, Record, labels_of
from sib.data.source import Divisible
from sib.data.transforms import check_resized
from sib.utils.errors import InputError
from sib.utils.image_size import ImageSize

MOST_CHECKED = 200_000
"""Most images whose headers are read on opening; `sib data check` reads those of larger sets."""


class Reading(NamedTuple):
    """How the files are read."""

    overhang: float
    """Pixels by which a box may leave its image."""
    size: ImageSize | None
    """Size of the network's input."""
    resize: Resize
    """How images are brought to that size."""
    skip_bad: bool


def checked(
    sources: Mapping[str, Divisible], reading: Reading
) -> tuple[dict[str, Divisible], list[str]]:
    """Leave out what cannot be read, and describe what is wrong with it.

    Raises:
        InputError: a header or mask cannot be read, and bad images are not to be skipped; or a
            split or a class of the training images has no other ones.
    """
    on_disk = {n: source for n, source in sources.items() if isinstance(source, RecordSource)}
    if not reading.skip_bad:
        if sum(map(len, on_disk.values())) <= MOST_CHECKED:
            records = (record for source in on_disk.values() for record in source.records)
            check_headers(records, reading.overhang, reading.size, reading.resize)
        return dict(sources), []
    how = (reading.overhang, reading.size, reading.resize)
    found, left_out = dict(sources), []
    for name, source in on_disk.items():
        wrong = [problem_of(record, *how) for record in source.records]
        problems = [problem for problem in wrong if problem]
        if problems and len(problems) == len(source):
            raise InputError(f"no {name} image can be read: {problems[0]}")
        if problems:
            found[name] = source.subset([i for i, problem in enumerate(wrong) if not problem])
            _check_no_class_is_lost(name, source, found[name], problems[0])
        left_out += problems
    return found, left_out


def _check_no_class_is_lost(split: str, whole: Divisible, kept: Divisible, problem: str) -> None:
    """Raise InputError if no training image of a class is left."""
    labels = [
        {each for label in source.labels for each in labels_of(label)} for source in (whole, kept)
    ]
    lost = labels[0] - labels[1]
    if split == "train" and lost:
        name = whole.classes[min(lost)]
        raise InputError(f"no training image of the class {name} can be read: {problem}")


def check_headers(
    records: Iterable[Record],
    overhang: float = OVERHANG,
    image_size: ImageSize | None = None,
    resize: Resize = "crop",
) -> None:
    """Read the header of every image and mask, and compare sizes and boxes.

    Args:
        records: records to check.
        overhang: pixels by which a box may leave its image.
        image_size: of the network's input, to which the images must be resizable.
        resize: how they are resized; see `JointTransform`.

    Raises:
        InputError: the first record that is wrong, with the number of further ones.
    """
    found = (problem_of(record, overhang, image_size, resize) for record in records)
    problems = [problem for problem in found if problem]
    if problems:
        more = len(problems) - 1
        further = f" (and {more} more image{'s' * (more > 1)} with a problem)" if more else ""
        listed, it = ("sib data check lists them, and ", "them") if more else ("", "it")
        raise InputError(f"{problems[0]}{further}; {listed}--on-bad-image skip leaves {it} out")


def boxes_of(record: Record, size: tuple[int, int]) -> tuple[Box, ...]:
    """The boxes of a record whose upright image is of a size (H, W); none where it has a mask.

    Raises:
        InputError: their file cannot be read.
    """
    if isinstance(record.foreground, BoxFile):
        return read_boxes(record.foreground.path, size)
    return record.foreground if isinstance(record.foreground, tuple) else ()


def problem_of(
    record: Record,
    overhang: float = OVERHANG,
    image_size: ImageSize | None = None,
    resize: Resize = "crop",
) -> str | None:
    """What is wrong with a record, from the headers of its files; see `check_headers`."""
    try:
        size = read_size(record.image)
        if image_size is not None:
            check_resized(size, image_size, str(record.image), resize)
        if isinstance(record.foreground, MaskFile):
            check_size(record.foreground.path, read_size(record.foreground.path), size)
        for box in boxes_of(record, size):
            check_box(box, size, record.name, overhang)
    except InputError as error:
        return str(error)
    return None
