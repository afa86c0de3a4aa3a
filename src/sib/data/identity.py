"""Which images a run was trained, validated and tested on, and whether they still exist."""

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sib.data.contents import BY_SIZE, contents_of, same_contents
from sib.data.records import RecordSource
from sib.data.sample import Label, Record
from sib.data.source import Source
from sib.utils.errors import InputError

HEADER = ("split", "label", "class", "content", "image")
SPLITS = ("train", "validation", "test")
MOST_BYTES = 2**29
"""Most bytes of a table of images; ImageNet's takes 2^27."""


class ImageRow(NamedTuple):
    """One image of a run."""

    split: str
    label: Label
    class_name: str
    """Of several labels, a list in JSON."""
    content: str
    """See `contents.contents_of`."""
    name: str
    """Path relative to the data set's folder."""


def record_images(splits: Mapping[str, Source], classes: Sequence[str]) -> list[ImageRow] | None:
    """A row for each image; None if the images are not in files of their own.

    Args:
        splits: sources by split.
        classes: (K,) names by label.

    Raises:
        InputError: a file cannot be read.
    """
    found = [(split, s) for split, s in splits.items() if isinstance(s, RecordSource)]
    if len(found) < len(splits):
        return None
    records = [(split, record) for split, source in found for record in source.records]
    contents = contents_of([record.image for _, record in records])
    return [
        ImageRow(split, record.label, _named(record.label, classes), content, record.name)
        for (split, record), content in zip(records, contents, strict=True)
    ]


def fingerprint(rows: Sequence[ImageRow]) -> str:
    """SHA-256 over the sorted names and contents, a line for each image."""
    lines = sorted(f"{row.name} {row.content}\n" for row in rows)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def to_csv(rows: Sequence[ImageRow]) -> str:
    """The table ``images.csv`` of a run folder."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows([row.split, _label_cell(row.label), *row[2:]] for row in rows)
    return text.getvalue()


def read_rows(path: Path) -> list[ImageRow] | None:
    """Read what `to_csv` wrote; None if there is no such file.

    Raises:
        InputError: the file cannot be read or is damaged.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"{path} has more than {MOST_BYTES} bytes, too many for a table")
        with open(path, newline="", encoding="utf-8") as file:
            header, *rows = list(csv.reader(file)) or [[]]
        if tuple(header) != HEADER or not rows:
            raise ValueError("its first line is not the expected one, or it names no image")
        found = [ImageRow(*_cells(row)) for row in rows]
        _check_rows(found)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, csv.Error, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is damaged: {error}") from None
    return found


def class_names(rows: Sequence[ImageRow]) -> list[str]:
    """The class names by label; a number for one that no image shows."""
    names = {label: name for row in rows for label, name in _pairs(row)}
    return [names.get(label, str(label)) for label in range(max(names) + 1)]


def _named(label: Label, classes: Sequence[str]) -> str:
    if isinstance(label, tuple):
        return json.dumps([classes[each] for each in label], ensure_ascii=False)
    return classes[label]


def _label_cell(label: Label) -> str:
    """A number; ``[0;2]`` of several labels."""
    return f"[{';'.join(map(str, label))}]" if isinstance(label, tuple) else str(label)


def _pairs(row: ImageRow) -> Iterable[tuple[int, str]]:
    """The labels of an image with their names."""
    if not isinstance(row.label, tuple):
        return [(row.label, row.class_name)]
    names = json.loads(row.class_name)
    if not isinstance(names, list) or len(names) != len(row.label):
        raise ValueError(f"it names the labels {row.class_name!r}")
    return zip(row.label, map(str, names), strict=True)


def has_several_labels(rows: Sequence[ImageRow]) -> bool:
    """Whether the images of a run have several labels each."""
    return any(isinstance(row.label, tuple) for row in rows[:1])


def _cells(row: list[str]) -> tuple[str, Label, str, str, str]:
    if len(row) != len(HEADER):
        raise ValueError("a line has more or fewer cells than the first")
    split, label, class_name, content, name = row
    if split not in SPLITS:
        raise ValueError(f"it names a split {split!r}")
    if label[:1] == "[" and label[-1:] == "]":
        several = tuple(_number(each) for each in label[1:-1].split(";") if each)
        return split, several, class_name, content, name
    return split, _number(label), class_name, content, name


def _number(label: str) -> int:
    if not label.isascii() or not label.isdecimal() or len(label) > 6:
        raise ValueError(f"it names a label {label!r}")
    return int(label)


def _check_rows(rows: Sequence[ImageRow]) -> None:
    names: dict[int, str] = {}
    for row in rows:
        for label, name in _pairs(row):
            if names.setdefault(label, name) != name:
                raise ValueError(f"label {label} has two names")
    if not names:
        raise ValueError("no image has a label")
    if len({row.name for row in rows}) < len(rows):
        raise ValueError("an image is listed twice")


class Found(NamedTuple):
    """The images of a run that are found in a folder."""

    records: dict[str, list[Record]]
    """The images found of each split, with the labels that the run gave them."""
    differences: list[str]
    """What is wrong with the requested split, in clauses; empty if nothing is."""
    notes: list[str]
    """What else differs, in clauses."""


def find_images(
    rows: Sequence[ImageRow], records: Sequence[Record], classes: Sequence[str], split: str
) -> Found:
    """Find the recorded images among those of a folder.

    Names, classes and contents of one split are compared; for the others only names.

    Args:
        rows: rows that the run recorded.
        records: records of the folder.
        classes: class names of the folder, by the labels of ``records``.
        split: split whose images must all exist.

    Raises:
        InputError: a file cannot be read.
    """
    by_name = {record.name: record for record in records}
    there = [row for row in rows if row.name in by_name]
    kept: dict[str, list[Record]] = {name: [] for name in SPLITS}
    for row in there:
        record = by_name[row.name]
        kept[row.split].append(Record(record.image, row.label, record.foreground, record.name))
    own = [row for row in rows if row.split == split]
    present = [row for row in own if row.name in by_name]
    missing = [row.name for row in own if row.name not in by_name]
    # the labels of a table are those that the run recorded, so the table need not be there
    single = [r for r in present if not isinstance(by_name[r.name].label, tuple)]
    moved = [r.name for r in single if _named(by_name[r.name].label, classes) != r.class_name]
    same = same_contents([by_name[r.name].image for r in present], [r.content for r in present])
    changed = [row.name for row, is_same in zip(present, same, strict=True) if not is_same]
    differences = [
        *_clause(missing, "is missing", "are missing"),
        *_clause(moved, "has another class", "have another class"),
        *_clause(changed, "has different content", "have different content"),
    ]
    recorded = {row.name for row in rows}
    added = [record.name for record in records if record.name not in recorded]
    gone = [row.name for row in rows if row.split != split and row.name not in by_name]
    notes = [
        *_clause(added, "is not in the run's record", "are not in the run's record"),
        *_clause(gone, "of another split is missing", "of other splits are missing"),
    ]
    return Found(kept, differences, notes)


def trained_on(rows: Sequence[ImageRow], records: Sequence[Record]) -> list[str]:
    """The names of images with the same content as an image that a run was trained on.

    Raises:
        InputError: a file cannot be read.
    """
    own = {row.content for row in rows if row.split == "train"}
    own -= {content for content in own if content.startswith(BY_SIZE)}
    contents = contents_of([record.image for record in records])
    return [r.name for r, content in zip(records, contents, strict=True) if content in own]


def _clause(names: Sequence[str], one: str, several: str) -> list[str]:
    if not names:
        return []
    count = f"1 image {one}" if len(names) == 1 else f"{len(names)} images {several}"
    return [f"{count} ({'' if len(names) == 1 else 'first '}{min(names)})"]


def without_absolute_paths(value: Any) -> Any:
    """Replace each absolute path in plain values by its last part.

    This is for what is shared: a run's configuration, environment and commands name folders of the
    machine where they were made.

    Args:
        value: dictionaries, lists, strings and numbers.
    """
    if isinstance(value, Mapping):
        return {key: without_absolute_paths(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_absolute_paths(item) for item in value]
    if isinstance(value, str):
        option, equals, path = value.rpartition("=")
        if Path(path).is_absolute() or path.startswith("~"):
            return f"{option}{equals}{Path(path).name}"
    return value
