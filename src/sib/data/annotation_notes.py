"""What is counted about annotations, and the sentences that report it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sib.data.sample import Record

NOTE = "annotations"
"""Name of the counts among a layout's notes."""
EVENTS = {
    "unmatched": ("annotation names no image", "annotations name no image"),
    "empty": (
        "annotated image has no object, and so no foreground",
        "annotated images have no object, and so no foreground",
    ),
    "clipped": (
        "object leaves its image and is cut off at the edge",
        "objects leave their image and are cut off at the edge",
    ),
    "without_area": (
        "object covers no pixel of its image and is left out",
        "objects cover no pixel of their image and are left out",
    ),
    "scaled": (
        "image was annotated at another size, and its annotation is scaled",
        "images were annotated at another size, and their annotations are scaled",
    ),
    "replaced": (
        "image has a mask file as well, which is not used",
        "images have a mask file as well, which is not used",
    ),
    "unreadable": (
        "annotated image cannot be read",
        "annotated images cannot be read",
    ),
    "foreign": (
        "object is of a class that is not a label",
        "objects are of a class that is not a label",
    ),
    "lacking": (
        "annotated image lacks an object of a label that it has; the union of its objects stands "
        "for that label",
        "annotated images lack an object of a label that they have; the union of their objects "
        "is used for that label",
    ),
    "undecided": (
        "box has no area beside it and could be two corners; it is read as x, y, width and height",
        "boxes have no area beside them and could be two corners; they are read as x, y, width and "
        "height",
    ),
    "ignored": ("file is not of this format", "files are not of this format"),
}
"""What is counted, in the singular and the plural."""


@dataclass
class Counts:
    """What happened to the annotated objects."""

    events: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)
    """The first example of each kind of event."""

    def add(self, event: str, where: str) -> None:
        """Count one more event, at a place that a message can name."""
        self.events[event] += 1
        self.first.setdefault(event, where)


def facts_of(
    name: str, records: list[Record], counts: Counts, ignored: list[str]
) -> dict[str, Any]:
    """The counts as they are recorded.

    Args:
        name: the format of the annotations.
        records: all images, with their new foregrounds.
        counts: what happened to the objects.
        ignored: files of another format.
    """
    for file in ignored:
        counts.add("ignored", file)
    facts: dict[str, Any] = {
        "format": name,
        "images": len(records),
        "annotated": sum(record.foreground is not None for record in records),
    }
    counted = {event: counts.events[event] for event in EVENTS if counts.events[event]}
    return facts | {event: [count, counts.first[event]] for event, count in counted.items()}


def sentences(notes: Mapping[str, Any]) -> list[str]:
    """Describe what annotations gave, beginning with how many images have a foreground.

    Args:
        notes: a layout's notes, or the description of splits made from it.

    Returns:
        Sentences; none if no annotations were given.
    """
    facts = notes.get(NOTE)
    if facts is None:
        return []
    found = [
        f"annotations: {facts['format']}; {facts['annotated']} of {facts['images']} images have a "
        "foreground"
    ]
    for event, (one, many) in EVENTS.items():
        count, first = facts.get(event, (0, ""))
        if count:
            found.append(f"{count} {one if count == 1 else many}, the first: {first}")
    return found
