"""Images of the same content, in two splits or in two classes."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from sib.data.contents import BY_SIZE, contents_of
from sib.data.identity import ImageRow
from sib.data.sample import Label, Record

PLACES = {"test": "a test image", "validation": "a validation image"}


def copies_in_rows(rows: Iterable[ImageRow]) -> list[str]:
    """Sentences about images of a run that are copies of one another.

    Args:
        rows: of the run's images; those that are known by their size alone are left out.
    """
    return _describe((row.content, row.split, row.label, row.name) for row in rows)


def copies_in_records(splits: Mapping[str, Sequence[Record]]) -> list[str]:
    """The same for the images of splits, which are read for it.

    Raises:
        InputError: a file cannot be read.
    """
    placed = [(split, record) for split, records in splits.items() for record in records]
    contents = contents_of([record.image for _, record in placed])
    return _describe(
        (content, split, record.label, record.name)
        for content, (split, record) in zip(contents, placed, strict=True)
    )


def _describe(images: Iterable[tuple[str, str, Label, str]]) -> list[str]:
    groups: dict[str, list[tuple[str, Label, str]]] = defaultdict(list)
    for content, split, label, name in images:
        if not content.startswith(BY_SIZE):
            groups[content].append((split, label, name))
    same = [group for group in groups.values() if len(group) > 1]
    return [*_in_two_splits(same), *_in_two_classes(same)]


def _in_two_splits(same: list[list[tuple[str, Label, str]]]) -> list[str]:
    sentences = []
    for split in PLACES:
        pairs = [
            (name, next(other for place, _, other in group if place == "train"))
            for group in same
            if any(place == "train" for place, _, _ in group)
            for place, _, name in group
            if place == split
        ]
        if pairs:
            one = len(pairs) == 1
            what = PLACES[split] if one else f"{len(pairs)} {split} images"
            sentences.append(
                f"{what} {'has' if one else 'have'} the content of a training image"
                f"{'' if one else ', the first'}: {pairs[0][0]} is {pairs[0][1]}"
            )
    return sentences


def _in_two_classes(same: list[list[tuple[str, Label, str]]]) -> list[str]:
    split = [group for group in same if len({label for _, label, _ in group}) > 1]
    if not split:
        return []
    first, second = (name for _, _, name in _with_two_labels(split[0]))
    if len(split) == 1:
        return [f"an image is in two classes: {first} and {second} have the same content"]
    return [f"{len(split)} images are in two classes, the first as {first} and {second}"]


def _with_two_labels(group: list[tuple[str, Label, str]]) -> list[tuple[str, Label, str]]:
    other = next(item for item in group if item[1] != group[0][1])
    return [group[0], other]
