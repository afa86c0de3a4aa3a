"""Find out which format annotations have, and read them."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from sib.data.readers.annotations import coco, labelme, table, voc, yolo
from sib.data.readers.annotations.entry import Annotation, Format, Found
from sib.data.readers.annotations.load import LARGEST, load
from sib.utils.errors import InputError

FORMATS: tuple[Format, ...] = (
    coco.FORMAT,
    labelme.FORMAT,
    voc.FORMAT,
    yolo.FORMAT,
    table.FORMAT,
    table.TABS,
)
MOST_FILES = 2**20
"""Most files of a folder."""


def read_annotations(path: Path) -> Found:
    """Read the annotations of a file, or of a folder and the folders in it.

    Args:
        path: a COCO JSON, a PASCAL VOC XML, a labelme JSON or a CSV of boxes; or a folder of files
            of one format, which YOLO's text files must be in.

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
    return Found(chosen.name, list(chosen.read(content, path)), [], chosen.ending)


def _read_folder(folder: Path) -> Found:
    first: tuple[Format, Path] | None = None
    annotations: list[Annotation] = []
    ignored: list[str] = []
    for path in _files(folder):
        content = load(path)
        chosen = _format_of(path, content)
        if chosen is None:
            ignored.append(path.relative_to(folder).as_posix())
            continue
        first = first or (chosen, path)
        if chosen is not first[0]:
            raise InputError(
                f"annotations: {folder} mixes formats: {first[1].name} is {first[0].name}, and "
                f"{path.name} is {chosen.name}; keep one format in a folder"
            )
        place = path.parent.relative_to(folder)
        annotations += (_placed(each, place) for each in chosen.read(content, path))
    if first is None:
        raise InputError(_unknown(folder))
    return Found(first[0].name, annotations, ignored, first[0].ending)


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
        "PASCAL VOC XML, labelme JSON and CSV, as a file or a folder, and a folder of YOLO text "
        "files"
    )


def _hint(content: Any) -> str:
    """What to do about a table, and the own formats of Label Studio, CVAT, VIA and Create ML."""
    if isinstance(content, str) and "," in content:
        return ". A table of boxes needs a first line with the names of the columns"
    if isinstance(content, list) and content and isinstance(content[0], dict):
        if "data" in content[0] or {"image", "label"} <= set(content[0]):
            return ". This is Label Studio's own JSON: export the project as COCO"
        if {"image", "annotations"} <= set(content[0]):
            return ". This is Create ML's JSON: export the boxes as COCO"
        if {"image_id", "bbox"} <= set(content[0]):
            return ". These are COCO's results without its images: add images and annotations"
    elif isinstance(content, dict):
        values = [value for value in content.values() if isinstance(value, dict)]
        if "_via_img_metadata" in content or any("regions" in value for value in values):
            return ". This is VIA's own JSON: export the annotations as COCO"
        if isinstance(content.get("images"), list):
            return ". This is COCO JSON without annotations, as test sets have it"
    elif getattr(content, "tag", None) == "annotations":
        return ". This is CVAT's own XML: export the task as COCO 1.0"
    return ""
