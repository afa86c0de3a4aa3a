"""The layout of ImageNet-1k: class folders, known only by their names."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np

from sib.data.files import read_lines
from sib.data.layout import Parts, check_classes
from sib.data.readers.kinds import is_image
from sib.data.records import RecordSource
from sib.data.sample import BoxFile, Record
from sib.utils.errors import InputError

SYNSET = re.compile(r"n\d{8}")
SOLUTION = "LOC_val_solution.csv"
WORDS = "LOC_synset_mapping.txt"


@dataclass(frozen=True)
class Places:
    """Where the files of one split are."""

    folder: Path
    """Holds ``train`` and ``val``."""
    notes: Path
    """Holds the annotations of the split."""
    split: str
    synsets: list[str]
    flat: bool
    """Whether the images of the split lie side by side, without class folders."""

    def name(self, label: int, file: str) -> str:
        """The path of an image below ``folder``."""
        return f"{self.split}/{file}" if self.flat else f"{self.split}/{self.synsets[label]}/{file}"

    def boxes(self, label: int, file: str) -> Path:
        """The annotation of an image."""
        parent = self.notes / self.synsets[label] if self.split == "train" else self.notes
        return parent / f"{_stem(file)}.xml"


class Tree(Sequence[Record]):
    """The records of one split, made on request.

    A million records would fill half a gigabyte in each process that reads; a file's name, its
    class and whether it has boxes take 40 bytes.

    Args:
        places: of the files.
        files: bytes (N,), file names.
        labels: int16 (N,).
        boxed: bool (N,), whether the annotation exists.
    """

    def __init__(
        self, places: Places, files: np.ndarray, labels: np.ndarray, boxed: np.ndarray
    ) -> None:
        self.places, self.files, self.labels, self.boxed = places, files, labels, boxed

    def __len__(self) -> int:
        """Number of images."""
        return len(self.files)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> "Tree": ...
    def __getitem__(self, index: int | slice) -> "Record | Tree":
        """The record of image ``index``."""
        if isinstance(index, slice):
            return self.select(np.arange(len(self))[index])
        name, file, label = self.name(index), os.fsdecode(self.files[index]), self.labels[index]
        foreground = BoxFile(self.places.boxes(label, file)) if self.boxed[index] else None
        return Record(self.places.folder / name, int(label), foreground, name)

    def name(self, index: int) -> str:
        """The name of image ``index``."""
        return self.places.name(self.labels[index], os.fsdecode(self.files[index]))

    def select(self, indices: np.ndarray) -> "Tree":
        """The records at these indices."""
        return Tree(self.places, self.files[indices], self.labels[indices], self.boxed[indices])


class Names(Sequence[str]):
    """The names of a tree's records, made on request."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    def __len__(self) -> int:
        """Number of images."""
        return len(self._tree)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> "Names": ...
    def __getitem__(self, index: int | slice) -> "str | Names":
        """The name of image ``index``."""
        return Names(self._tree[index]) if isinstance(index, slice) else self._tree.name(index)


class TreeSource(RecordSource):
    """A `RecordSource` of a `Tree`."""

    def __init__(self, tree: Tree, classes: list[str]) -> None:
        self.tree, self.records, self.names, self.classes = tree, tree, Names(tree), classes
        self.labels: list[int] = tree.labels.tolist()
        self.annotated = bool(tree.boxed.any())

    @property
    def foregrounds(self) -> int:
        """Number of images that have a foreground."""
        return int(self.tree.boxed.sum())

    def subset(self, indices: Sequence[int]) -> "TreeSource":
        """A source of the images at these indices, in that order."""
        return TreeSource(self.tree.select(np.asarray(indices, dtype=np.int64)), self.classes)


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
    boxed = np.array([_stem(file) in known for file in files])
    return Tree(
        places, np.array([os.fsencode(f) for f in files]), np.array(labels, np.int16), boxed
    )


def _beside(folder: Path, kind: str) -> Path:
    """``<…>/<kind>/CLS-LOC`` for a folder ``<…>/Data/CLS-LOC``, else ``<folder>/<kind>``."""
    official = folder.parts[-2:] == ("Data", "CLS-LOC")
    return folder.parents[1] / kind / "CLS-LOC" if official else folder / kind


def _stem(file: str) -> str:
    return file.rpartition(".")[0]


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
        stem, _, prediction = line.partition(",")
        known[stem] = prediction.split(" ")[0]
    images: dict[str, list[str]] = {name: [] for name in synsets}
    for file in files:
        synset = known.get(_stem(file))
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
