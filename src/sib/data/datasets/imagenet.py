"""The layout of ImageNet-1k: class folders, known only by their names."""

import os
import re
from pathlib import Path

import numpy as np

from sib.data.datasets.imagenet_records import Places, Tree, TreeSource, stem
from sib.data.files import read_lines
from sib.data.layout import Parts, check_classes
from sib.data.readers.kinds import is_image
from sib.utils.errors import InputError

SYNSET = re.compile(r"n\d{8}")
SOLUTION = "LOC_val_solution.csv"
WORDS = "LOC_synset_mapping.txt"


def matches(folder: Path) -> bool:
    """Whether a folder has this layout: ``train`` with synset folders, and ``val``."""
    if not (folder / "train").is_dir() or not (folder / "val").is_dir():
        return False
    return any(SYNSET.fullmatch(name) for name in os.listdir(folder / "train"))


def read(folder: Path) -> Parts:
    """Read ``train/<synset>/*``, to train on, and ``val``, which is the test.

    ``val`` holds ``<synset>/*``, or the images alone as its archive unpacks: then their classes
    are read from ``LOC_val_solution.csv`` beside ``ILSVRC``. Classes are in the order of their
    synsets, and are named by them or, where ``LOC_synset_mapping.txt`` lies beside ``ILSVRC``,
    by the first of their words.

    Foregrounds are the boxes in ``Annotations/CLS-LOC/train/<synset>/<stem>.xml`` and
    ``Annotations/CLS-LOC/val/<stem>.xml`` beside ``Data``, where there are any; of several their
    union. What leaves an image is cut off.

    With 1.28 million images no file is opened here: each class folder is listed once, which takes
    seconds; ``sib data check`` reads them all.

    Args:
        folder: holds ``train`` and ``val``.

    Raises:
        InputError: an empty class, fewer than two classes, an image whose class is not known.
    """
    synsets = sorted(name for name in os.listdir(folder / "train") if SYNSET.fullmatch(name))
    check_classes(synsets, folder / "train")
    train = {name: _list_images(folder / "train" / name) for name in synsets}
    for name, files in train.items():
        if not files:
            raise InputError(f"class folder {folder / 'train' / name} holds no image")
    flat = _list_images(folder / "val")
    test = _flat_classes(folder, flat, synsets) if flat else _val_folders(folder, synsets)
    if not any(test.values()):
        raise InputError(f"{folder / 'val'} holds no image")
    classes = _class_names(folder, synsets)
    notes = _beside(folder, "Annotations")
    sources = []
    for split, images, alone in (("train", train, False), ("val", test, bool(flat))):
        places = Places(folder, notes / split, split, synsets, alone)
        sources.append(TreeSource(_tree(places, images), classes))
    return Parts("imagenet", classes, sources[0], None, sources[1])


def _tree(places: Places, images: dict[str, list[str]]) -> Tree:
    synsets = places.synsets
    files = [file for name in synsets for file in images.get(name, [])]
    labels = [label for label, name in enumerate(synsets) for _ in images.get(name, [])]
    known = _list_annotations(places.notes, synsets if places.split == "train" else ["."])
    boxed = np.array([stem(file) in known for file in files])
    return Tree(
        places, np.array([os.fsencode(f) for f in files]), np.array(labels, np.int16), boxed
    )


def _beside(folder: Path, kind: str) -> Path:
    """``<…>/<kind>/CLS-LOC`` for a folder ``<…>/Data/CLS-LOC``, else ``<folder>/<kind>``."""
    official = folder.parts[-2:] == ("Data", "CLS-LOC")
    return folder.parents[1] / kind / "CLS-LOC" if official else folder / kind


def _list_images(folder: Path) -> list[str]:
    # listing alone: asking each of a million files for its kind would take minutes
    names = os.listdir(folder)
    return sorted(n for n in names if is_image(n))


def _list_annotations(notes: Path, folders: list[str]) -> set[str]:
    """Stems of all annotations; they are unique, since each bears its synset or ``val``."""
    present = [notes / name for name in folders if (notes / name).is_dir()]
    return {name[:-4] for folder in present for name in os.listdir(folder) if name[-4:] == ".xml"}


def _val_folders(folder: Path, synsets: list[str]) -> dict[str, list[str]]:
    present = [name for name in os.listdir(folder / "val") if SYNSET.fullmatch(name)]
    unknown = sorted(set(present) - set(synsets))
    if unknown:
        raise InputError(f"{folder / 'val'} has the class {unknown[0]}, which train lacks")
    return {name: _list_images(folder / "val" / name) for name in present}


def _flat_classes(folder: Path, files: list[str], synsets: list[str]) -> dict[str, list[str]]:
    table = _top(folder) / SOLUTION
    if not table.is_file():
        raise InputError(
            f"{folder / 'val'} holds images without class folders, and {table}, which would tell "
            "their classes, is missing; move each image into a folder of its synset"
        )
    known: dict[str, str] = {}
    for _, line in read_lines(table):
        name, _, prediction = line.partition(",")
        known[name] = prediction.split(" ")[0]
    images: dict[str, list[str]] = {name: [] for name in synsets}
    for file in files:
        synset = known.get(stem(file))
        if synset not in images:
            raise InputError(f"{table} gives {folder / 'val' / file} no class that train has")
        images[synset].append(file)
    return images


def _top(folder: Path) -> Path:
    """The folder that holds ``ILSVRC``, or ``train`` and ``val`` themselves."""
    official = folder.parts[-2:] == ("Data", "CLS-LOC") and len(folder.parents) > 2
    return folder.parents[2] if official else folder


def _class_names(folder: Path, synsets: list[str]) -> list[str]:
    table = _top(folder) / WORDS
    if not table.is_file():
        return synsets
    words = {}
    for _, line in read_lines(table):
        synset, _, names = line.partition(" ")
        words[synset] = names.split(",")[0]
    # two synsets share the word crane, two maillot
    named = [words.get(synset, synset) for synset in synsets]
    return [
        f"{name} ({synset})" if named.count(name) > 1 else name
        for name, synset in zip(named, synsets, strict=True)
    ]
