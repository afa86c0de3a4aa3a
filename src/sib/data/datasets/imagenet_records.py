"""The records of a million images, made on request from their files' names."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np

from sib.data.records import RecordSource
from sib.data.sample import BoxFile, Record


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
        return parent / f"{stem(file)}.xml"


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


def stem(file: str) -> str:
    """A file's name without its ending."""
    return file.rpartition(".")[0]
