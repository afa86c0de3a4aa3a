"""The images of a source, read from its cache."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torchvision import tv_tensors

from sib.data.sample import Sample
from sib.data.source import Source
from sib.utils.errors import InputError
from sib.utils.image_size import ImageSize, height_width

ARRAYS = ("images", "foreground", "annotated")
"""Names of the files of a cache; each has one row per image."""


class CachedSource:
    """The images of a source, read from its cache.

    Args:
        source: source of the labels, classes and names.
        path: folder of the cache.
        rows: (N,) index of each image in the cache.
        image_size: side in pixels, or height H and width W.
    """

    def __init__(self, source: Source, path: Path, rows: list[int], image_size: ImageSize) -> None:
        self.labels, self.classes = source.labels, source.classes
        self.names, self.annotated = source.names, source.annotated
        self.path, self.rows, self.image_size = path, rows, image_size
        self._opened: list[np.ndarray] | None = None

    def __len__(self) -> int:
        """Number of images."""
        return len(self.rows)

    def __getitem__(self, index: int) -> Sample:
        """Image ``index`` (3, H, W); its foreground is None if it has no known pixel.

        Raises:
            InputError: the cache was deleted.
        """
        images, foreground, annotated = self._arrays()
        row, (height, width) = self.rows[index], height_width(self.image_size)
        image = tv_tensors.Image(torch.from_numpy(np.array(images[row])))
        if not annotated[row]:
            return Sample(image, self.labels[index], None)
        bits = np.unpackbits(foreground[row], count=height * width)
        mask = bits.reshape(1, height, width).view(bool)
        return Sample(image, self.labels[index], tv_tensors.Mask(torch.from_numpy(mask)))

    def __getstate__(self) -> dict[str, Any]:
        """Leave the open files behind: each worker process maps them itself."""
        return self.__dict__ | {"_opened": None}

    def _arrays(self) -> list[np.ndarray]:
        if self._opened is None:
            try:
                files = [self.path / f"{name}.npy" for name in ARRAYS]
                self._opened = [np.load(file, mmap_mode="r") for file in files]
            except OSError:
                raise InputError(f"the cache {self.path} is gone; start again") from None
        return self._opened
