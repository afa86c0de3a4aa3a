"""Facts about a data set for the record of a run."""

import hashlib
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from sib.data.records import RecordSource
from sib.data.source import Source

MOST_NAMED = 20
"""Images without a foreground that the record names."""


def describe(splits: Mapping[str, Source], **facts: Any) -> dict[str, Any]:
    """Counts and checksums of a data set.

    Args:
        splits: sources by the name of their split.
        facts: further facts.

    Returns:
        JSON-able: the facts; the number of classes; for each split the number of images, whether
        any image is annotated and how many come with a foreground; where some do and some do not,
        the first ones without; ``files_sha256`` over the sorted names, a line for each;
        ``splits_sha256`` over the same lines with the split's name and a space before each name,
        so that it changes with the split.
    """
    names = [name for source in splits.values() for name in source.names]
    placed = [f"{split} {name}" for split, source in splits.items() for name in source.names]
    first = next(iter(splits.values()))
    counts = {split: foregrounds(source) for split, source in splits.items()}
    partly = 0 < sum(counts.values()) < len(names)
    lacking = {"without_foreground": _lacking(splits.values())} if partly else {}
    return {
        **facts,
        "classes": len(first.classes),
        "images": {split: len(source) for split, source in splits.items()},
        "annotated": {split: source.annotated for split, source in splits.items()},
        "foregrounds": counts,
        **lacking,
        "files_sha256": _sha256(names),
        "splits_sha256": _sha256(placed),
    }


def foregrounds(source: Source) -> int:
    """Number of images of a source that come with a foreground."""
    if isinstance(source, RecordSource):
        return source.foregrounds
    return len(source) if source.annotated else 0


def _lacking(sources: Iterable[Source]) -> list[str]:
    """The first names of images without a foreground."""
    found = (
        record.name
        for source in sources
        if isinstance(source, RecordSource)
        for record in source.records
        if record.foreground is None
    )
    return sorted(islice(found, MOST_NAMED))


def _sha256(lines: list[str]) -> str:
    text = "".join(f"{line}\n" for line in sorted(lines))
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()
