"""Describes how a data set was understood, for the start of a run."""

from typing import Any

from sib.data.alike import alike_names
from sib.data.coverage import (
    SAMPLE,
    coverage_of,
    describe_colours,
    describe_coverage,
    describe_greys,
)
from sib.data.depth import describe_depth, spread_over, values_used
from sib.data.layout import counted
from sib.data.open import Splits
from sib.data.records import RecordSource
from sib.data.sample import MaskFile
from sib.data.several import label_sentences
from sib.utils.names import separated

ANNOTATIONS = (".json", ".xml", ".txt")
"""Endings of annotations, a file for each image."""
SHOWN = 3
"""Most names that a sentence lists."""


def understood(splits: Splits) -> str:
    """Images, splits and their origin, classes and foregrounds, without the set's name."""
    facts = splits.description
    validation = f"{len(splits.validation)} to validate, " if len(splits.validation) else ""
    rule = f"; {facts['split_rule']}" if "split_rule" in facts else ""
    return (
        f"{len(splits.train)} images to train, {validation}{len(splits.test)} to test, "
        f"{len(splits.classes)} classes, {foregrounds_in_words(facts)}{rule}"
    )


def foregrounds_in_words(facts: dict[str, Any]) -> str:
    """How many images have a foreground, from a description."""
    having, images = sum(facts["foregrounds"].values()), sum(facts["images"].values())
    if not having:
        return "without foregrounds"
    return f"{having} of {images} with a foreground"


def remarks(splits: Splits) -> list[str]:
    """Sentences about what is not used: files, folders, images without a foreground, bits."""
    facts = splits.description
    sentences = []
    lacking = facts.get("without_foreground")
    if lacking:
        number = sum(facts["images"].values()) - sum(facts["foregrounds"].values())
        sentences.append(f"without a foreground: {named(lacking, number)}")
    sentences += mask_sentences(facts)
    left_out = left_out_in_words(facts)
    if left_out:
        sentences.append(f"left out: {left_out}")
    sentences += folder_sentences(facts, splits.classes)
    sentences += [
        f"groups of almost the same name, which count as different ones: {' and '.join(names)}"
        for names in facts.get("groups_alike", [])
    ]
    sentences += facts.get("copies", [])
    return sentences + label_sentences(facts) + _depth(splits) + _coverage(splits)


def folder_sentences(facts: dict[str, Any], classes: list[str]) -> list[str]:
    """What may be wrong with the folders: masks among the images, other classes than are meant."""
    sentences = [facts["twins"]] if facts.get("twins") else []
    if facts.get("classes_alike"):
        sentences.append(
            f"the classes are {named(classes, len(classes))}, and each holds the "
            f"folders {named(facts['classes_alike'], len(facts['classes_alike']))}: if these are "
            "the classes, put them into one folder"
        )
    return sentences + [
        f"classes of almost the same name: {' and '.join(names)}; if they are one class, put its "
        "images into one folder"
        for names in alike_names(classes)
    ]


def mask_sentences(facts: dict[str, Any]) -> list[str]:
    """Which folders the masks are from, from a description; none for masks beside the images."""
    folders = facts.get("mask_folders", [])
    return [f"masks: {_folders(folders)}"] if folders else []


def _folders(names: list[str]) -> str:
    """``the folder a`` or ``the folders a, b``."""
    return f"the folder{'s' * (len(names) > 1)} {', '.join(names)}"


def plural(number: int) -> str:
    """``1 image`` or ``2 images``."""
    return f"{number} image{'s' * (number != 1)}"


def named(names: list[str], number: int) -> str:
    """The first names of a number of images."""
    shown = separated(names[:SHOWN])
    return shown if number <= SHOWN else f"{shown} and {number - SHOWN} more"


def left_out_in_words(facts: dict[str, Any]) -> str:
    """The files, folders and images that are not used, from a description; empty for none."""
    found = []
    if facts.get("unread"):
        found.append(f"files that are not read, {counted(facts['unread'])}{_hint(facts)}")
    if facts.get("images_without_class"):
        found.append(f"{plural(facts['images_without_class'])} outside of the class folders")
    if facts.get("folders_left_out"):
        others = "splits" if "folders" in facts else "images"
        found.append(f"{_folders(facts['folders_left_out'])} beside the {others}")
    found += _unused_masks(facts)
    if facts.get("unlisted"):
        found.append(f"{plural(facts['unlisted'])} that neither list names")
    if facts.get("unreadable"):
        first = facts["unreadable_first"][0]
        found.append(f"{plural(facts['unreadable'])} that cannot be read, the first: {first}")
    return "; ".join(found)


def _unused_masks(facts: dict[str, Any]) -> list[str]:
    found = []
    if facts.get("masks_unmatched"):
        found.append(
            f"{_folders(facts['masks_unmatched'])}, as no mask in it has the name of an image"
        )
    if facts.get("masks_of_same_names"):
        folders = facts["masks_of_same_names"]
        found.append(
            f"{_folders(folders)}, whose masks have the names of those that are used (if they are "
            f"the right ones, give --input.masks {folders[0]})"
        )
    if facts.get("masks_without_image"):
        number, first = facts["masks_without_image"]
        masks = "a mask" if number == 1 else f"{number} masks"
        found.append(f"{masks} in folders beside images of other names, the first: {first}")
    if facts.get("masks_doubtful"):
        number, first = facts["masks_doubtful"]
        found.append(
            f"{number} mask{'s' * (number > 1)} with the name of several images, the first: {first}"
            " (put masks into the same folders as the images)"
        )
    if facts.get("annotation_folders") and "annotations" not in facts:
        folders = facts["annotation_folders"]
        found.append(
            f"{_folders(folders)} without images (if there are annotations in it, "
            f"--input.annotations {folders[0]} reads them)"
        )
    if facts.get("list_folders"):
        found.append(f"{_folders(facts['list_folders'])} without images")
    return found


def _hint(facts: dict[str, Any]) -> str:
    """The option that reads annotations, where half of the images may have some beside them."""
    images = sum(facts.get("images", {}).values())
    endings = [e for e in ANNOTATIONS if 2 * facts["unread"].get(e, 0) >= max(images, 1)]
    if not endings or "annotations" in facts:
        return ""
    return f" (if the {endings[0]} files are annotations, --input.annotations FOLDER reads them)"


def _coverage(splits: Splits) -> list[str]:
    sources = [s for s in (splits.train, splits.test) if isinstance(s, RecordSource)]
    masked = [r for s in sources for r in s.records if isinstance(r.foreground, MaskFile)]
    some = spread_over(masked, SAMPLE)
    return describe_coverage(coverage_of(some)) + describe_greys(some) + describe_colours(some)


def _depth(splits: Splits) -> list[str]:
    sources = [s for s in (splits.train, splits.test) if isinstance(s, RecordSource)]
    if any(source.value_range for source in sources):
        return []
    depth = values_used(record for s in sources for record in spread_over(s.records))
    return describe_depth(depth) if depth.is_odd else []
