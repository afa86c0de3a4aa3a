"""Facts about a data set for the record of a run."""

import hashlib
from collections.abc import Mapping
from typing import Any

from sib.data.source import Source


def describe(splits: Mapping[str, Source], **facts: Any) -> dict[str, Any]:
    """Counts and checksums of a data set.

    Args:
        splits: sources by the name of their split.
        facts: further facts.

    Returns:
        JSON-able: the facts; the number of classes; for each split the number of images; whether
        any image is annotated; ``files_sha256`` over the sorted names, a line for each;
        ``splits_sha256`` over the same lines with the split's name and a space before each name,
        so that it changes with the split.
    """
    names = [name for source in splits.values() for name in source.names]
    placed = [f"{split} {name}" for split, source in splits.items() for name in source.names]
    first = next(iter(splits.values()))
    return {
        **facts,
        "classes": len(first.classes),
        "images": {split: len(source) for split, source in splits.items()},
        "annotated": {split: source.annotated for split, source in splits.items()},
        "files_sha256": _sha256(names),
        "splits_sha256": _sha256(placed),
    }


def _sha256(lines: list[str]) -> str:
    return hashlib.sha256("".join(f"{line}\n" for line in sorted(lines)).encode()).hexdigest()
