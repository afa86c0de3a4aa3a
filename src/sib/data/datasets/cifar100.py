"""The layout of CIFAR-100: the three pickles of its version for Python."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torchvision import tv_tensors

from sib.data.layout import Parts
from sib.data.readers.unpickle import read_pickle
from sib.data.sample import Sample
from sib.utils.errors import InputError

FILES = ("train", "test", "meta")
SIDE = 32


class ArraySource:
    """Images of one size in memory, without foregrounds; its subsets share the memory.

    Args:
        images: uint8 (M, 3, H, W).
        indices: (N,) which images, in order.
        labels: (M,) their classes.
        classes: (K,) names by label.
        prefix: prefix of the names, which are ``<prefix>/<index>``.
    """

    annotated = False

    def __init__(
        self,
        images: np.ndarray,
        indices: np.ndarray,
        labels: np.ndarray,
        classes: list[str],
        prefix: str,
    ) -> None:
        self._whole = (images, labels, classes, prefix)
        self.images, self.indices, self.classes = images, indices, classes
        self.labels: list[int] = labels[indices].tolist()
        self.names = [f"{prefix}/{index}" for index in indices]

    def __len__(self) -> int:
        """Number of images."""
        return len(self.indices)

    def __getitem__(self, index: int) -> Sample:
        """Image ``index``."""
        pixels = torch.from_numpy(self.images[self.indices[index]].copy())
        return Sample(tv_tensors.Image(pixels), self.labels[index], None)

    def subset(self, indices: Sequence[int]) -> "ArraySource":
        """A source of the images at these indices, in that order."""
        images, labels, classes, prefix = self._whole
        return ArraySource(images, self.indices[list(indices)], labels, classes, prefix)


def matches(folder: Path) -> bool:
    """Whether a folder has this layout."""
    return all((folder / name).is_file() for name in FILES)


def read(folder: Path) -> Parts:
    """Read ``train``, ``test`` and ``meta``: the 100 fine classes, in the order of ``meta``.

    The files are pickles; `read_pickle` reads them without running their code. All images stay in
    memory (180 MB) as one array per split.

    Raises:
        InputError: a file is missing, damaged, or holds something else.
    """
    meta = _dictionary(folder / "meta", (b"fine_label_names",))
    names = meta[b"fine_label_names"]
    if not isinstance(names, list) or not all(isinstance(name, bytes) for name in names):
        raise InputError(f"{folder / 'meta'}: fine_label_names must be a list of names")
    classes = [name.decode("latin1") for name in names]
    train, test = (_read_split(folder / split, classes) for split in ("train", "test"))
    return Parts("cifar-100-python", classes, train, None, test)


def _read_split(path: Path, classes: list[str]) -> ArraySource:
    batch = _dictionary(path, (b"data", b"fine_labels"))
    pixels = batch[b"data"]
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8:
        raise InputError(f"{path}: data must be an array of bytes; got {_kind(pixels)}")
    if pixels.ndim != 2 or pixels.shape[1] != 3 * SIDE**2 or len(pixels) == 0:
        raise InputError(f"{path}: data must have rows of 3072 bytes; got shape {pixels.shape}")
    labels = _labels(batch[b"fine_labels"], len(pixels), classes, path)
    images = pixels.reshape(-1, 3, SIDE, SIDE)
    return ArraySource(images, np.arange(len(images)), labels, classes, path.name)


def _labels(labels: Any, count: int, classes: list[str], path: Path) -> np.ndarray:
    if not isinstance(labels, list) or len(labels) != count:
        raise InputError(f"{path}: fine_labels must be a list of {count} labels, one for each row")
    for label in labels:
        if type(label) is not int or not 0 <= label < len(classes):
            raise InputError(
                f"{path}: fine_labels must be 0 to {len(classes) - 1}, as in meta; got {label!r}"
            )
    return np.array(labels, dtype=np.int64)


def _dictionary(path: Path, keys: tuple[bytes, ...]) -> dict[bytes, Any]:
    value = read_pickle(path)
    for key in keys:
        if not isinstance(value, dict) or key not in value:
            raise InputError(f"{path} lacks {key.decode()}; it is not a file of CIFAR-100")
    return value


def _kind(value: Any) -> str:
    return f"{value.dtype} numbers" if isinstance(value, np.ndarray) else type(value).__name__
