"""Find out which format annotations have, and read them."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from sib.data.files import list_folders
from sib.data.mask_names import is_certain
from sib.data.readers.annotations import coco, cvat, label_studio, labelme, table, voc, yolo
from sib.data.readers.annotations.entry import Annotation, Format, Found
from sib.data.readers.annotations.load import LARGEST, load
from sib.data.readers.kinds import is_image
from sib.utils.errors import InputError

FORMATS: tuple[Format, ...] = (
    coco.FORMAT,
    labelme.FORMAT,
    label_studio.FORMAT,
    voc.FORMAT,
    cvat.FORMAT,
    yolo.FORMAT,
    table.FORMAT,
    table.TABS,
)
MOST_FILES = 2**20
"""Most files of a folder."""


def read_annotations(path: Path) -> Found:
    """Read the annotations of a file, or of a folder and the folders in it.

    Args:
        path: a COCO JSON, a PASCAL VOC XML, a labelme JSON, what CVAT or Label Studio write for
            themselves, or a CSV of boxes; or a folder of files of one format, which YOLO's text
            files must be in.

    Returns:
        `Found`.

    Raises:
        InputError: nothing is there, the format is not known, several formats are mixed, or a
            value is not allowed.
    """
    if path.is_dir():
        return _read_folder(path)
    if not path.exists():
        raise InputError(f"annotations: {path} does not exist")
    if path.suffix.lower() not in LARGEST:
        raise InputError(_unknown(path))
    content = load(path)
    chosen = _format_of(path, content)
    if chosen is None:
        raise InputError(_unknown(path) + _hint(content))
    own = _in_folder(chosen, path.parent)
    return _checked(own, list(own.read(content, path)), [], path)


def _read_folder(folder: Path) -> Found:
    first: tuple[Format, Path] | None = None
    own = yolo.FORMAT  # where all files are blank
    annotations: list[Annotation] = []
    ignored: list[Path] = []
    blank: list[Path] = []
    for path in _files(folder):
        content = load(path)
        chosen = _format_of(path, content)
        if chosen is None:
            ignored.append(path)
        elif isinstance(content, str) and not content.strip():
            blank.append(path)
        elif first is None or chosen is first[0]:
            if first is None:
                first, own = (chosen, path), _in_folder(chosen, folder)
            annotations += _read_below(folder, own, content, path)
        else:
            raise InputError(
                f"annotations: {folder} mixes formats: {first[1].name} is {first[0].name}, and "
                f"{path.name} is {chosen.name}; keep one format in a folder"
            )
    if first is None and not blank:
        raise InputError(_unknown(folder) + (_hint_of_masks(folder) or _first_hint(ignored)))
    if own.ending == yolo.FORMAT.ending:
        for path in blank:  # images without an object
            annotations += _read_below(folder, own, "", path)
    else:
        ignored += blank
    names = [path.relative_to(folder).as_posix() for path in sorted(ignored)]
    return _checked(own, annotations, names, folder)


def _in_folder(chosen: Format, folder: Path) -> Format:
    return chosen if chosen.in_folder is None else chosen.in_folder(folder)


def _checked(chosen: Format, found: list[Annotation], ignored: list[str], path: Path) -> Found:
    if chosen.check is not None:
        chosen.check(found, path)
    return Found(chosen.name, found, ignored, chosen.ending)


def _read_below(folder: Path, chosen: Format, content: Any, path: Path) -> list[Annotation]:
    place = path.parent.relative_to(folder)
    return [_placed(each, place) for each in chosen.read(content, path)]


def _hint_of_masks(folder: Path) -> str:
    """What to do about a folder that is one of masks, or holds one, as CVAT exports them."""
    for place in (folder, *list_folders(folder)):
        if is_certain(place.name) and any(is_image(path.name) for path in place.iterdir()):
            return f". {place} holds masks, which --input.masks {place} reads"
    return ""


def _first_hint(ignored: list[Path]) -> str:
    """What to do about the first file of a folder that has none of the formats."""
    return _hint(load(ignored[0])) if ignored else ""


def _placed(annotation: Annotation, place: Path) -> Annotation:
    """Prefix an annotation's names by the folder of its file, if they have none."""
    names = tuple(
        name if set(name) & set("/\\") else (place / name).as_posix() for name in annotation.names
    )
    return replace(annotation, names=names)


def _files(folder: Path) -> Iterator[Path]:
    """The files that may hold annotations, sorted by path; hidden ones are ignored."""
    found: list[Path] = []
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name[0] != "."]
        paths = (Path(parent, name) for name in files if name[0] != ".")
        found += [path for path in paths if path.suffix.lower() in LARGEST]
        if len(found) > MOST_FILES:
            raise InputError(f"annotations: {folder} holds more than {MOST_FILES} files")
    return iter(sorted(found))


def _format_of(path: Path, content: Any) -> Format | None:
    of_ending = (each for each in FORMATS if each.ending == path.suffix.lower())
    return next((each for each in of_ending if each.matches(content)), None)


def _unknown(path: Path) -> str:
    return (
        f"annotations: {path} holds no annotations that can be read; allowed are COCO JSON, "
        "PASCAL VOC XML, labelme JSON, CVAT XML, Label Studio JSON and CSV, as a file or a folder, "
        "and a folder of YOLO text files"
    )


def _hint(content: Any) -> str:
    """What to do about a table, a text, and the own formats of annotation tools."""
    if isinstance(content, str):
        return _hint_of_text(content)
    if isinstance(content, list) and content and isinstance(content[0], dict):
        return _hint_of_list(set(content[0]))
    if isinstance(content, dict):
        return _hint_of_object(content)
    if getattr(content, "tag", None) == "annotations":
        return ". This is CVAT's own XML without an image"
    return ""


def _hint_of_text(content: str) -> str:
    first = next((line for line in content.splitlines() if line.strip()), "")
    if "VGG Image Annotator" in first:
        return ". This is VIA 3's own CSV, and VIA 3 exports no format that is read: use VIA 2"
    if any(mark in first for mark in ",;\t"):
        return (
            ". A table of boxes is a CSV whose first line names the columns, such as "
            "image,xmin,ymin,xmax,ymax,class"
        )
    if len(first.split()) > 4:
        return (
            ". A line of YOLO text is the number of a class, then x and y of the box's centre, its "
            "width and height as fractions of the image"
        )
    return ""


def _hint_of_list(keys: set[str]) -> str:
    if {"image", "label"} <= keys or "data" in keys:
        return ". These are Label Studio's tasks without annotations: export the project as JSON"
    if {"image", "annotations"} <= keys:
        return ". This is Create ML's JSON: export the boxes as COCO"
    if {"image_id", "bbox"} <= keys or {"image_id", "segmentation"} <= keys:
        return ". These are COCO's results without its images: add images and annotations"
    return ". Export the annotations as COCO from the tool that made them"


def _hint_of_object(content: dict[str, Any]) -> str:
    values = [value for value in content.values() if isinstance(value, dict)]
    if "_via_img_metadata" in content or any("regions" in value for value in values):
        return ". This is VIA's own JSON: export the annotations as COCO"
    if {"metadata", "view", "file"} <= set(content):
        return ". This is a project of VIA 3, which exports no format that is read: use VIA 2"
    if {"items", "categories"} <= set(content):
        return ". This is Datumaro's JSON: export the task as COCO 1.0"
    if isinstance(content.get("images"), list):
        return ". This is COCO JSON without annotations, as test sets have it"
    return ". Export the annotations as COCO from the tool that made them"
