"""The images of an audit, as `behaviour_of` reads them: twice, behind one progress bar."""

import hashlib
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from sib.data import BadSample, Batch
from sib.data.loader import Loader
from sib.data.normalization import normalise
from sib.evaluation.checkpoint import Checkpoint
from sib.evaluation.foregrounds import LabelForegrounds
from sib.utils.errors import InputError

KEPT = 2**30
"""Most bytes of images that the first pass keeps, so that they are read only once."""


class AuditImages:
    """Batches (images, labels, foreground) or (images, labels, foreground, groups).

    With several labels an image, the objects of each label come after the foreground; see
    `label_behaviour_of`.

    Args:
        loader: images of the split, in order.
        checkpoint: the classifier that sees them.
        device: where images go.
        groups: index of each image's group, by name; None if no groups are known.
        advance: called with the number of images of each batch.
        objects: those of each label; None for one class an image.
    """

    def __init__(
        self,
        loader: Loader,
        checkpoint: Checkpoint,
        device: torch.device,
        groups: dict[str, int] | None,
        advance: Callable[[int], None],
        objects: LabelForegrounds | None = None,
    ) -> None:
        self._loader, self._checkpoint, self._device = loader, checkpoint, device
        self._groups, self._advance, self._objects = groups, advance, objects
        self._kept: list[Batch] | None = None
        self.names: list[str] = []
        """Names of the images, after the first pass."""
        self.pixels_sha256 = ""
        """Checksum of the pixels and foregrounds, after the first pass."""

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        """The batches."""
        batches = self._first_pass() if not self.names else iter(self._kept or self._read())
        for batch in batches:
            images = normalise(batch.images, self._device, self._checkpoint.normalization)
            parts = (images, batch.labels, *self._foregrounds(batch))
            if self._groups is None:
                yield parts
            else:
                known = self._groups
                yield (*parts, torch.tensor([known.get(name, -1) for name in batch.names]))
            self._advance(len(batch.names))

    def _foregrounds(self, batch: Batch) -> tuple[Tensor, ...]:
        foregrounds: tuple[Tensor, ...] = (batch.foreground,)
        if self._objects is not None:
            foregrounds = self._objects.of_labels(batch.names, batch.labels, batch.foreground)
        return tuple(each.to(self._device) for each in foregrounds)

    def _first_pass(self) -> Iterator[Batch]:
        """The batches, keeping names, pixel checksums and, if they are few, the images."""
        kept: list[Batch] | None = []
        names: list[str] = []
        checksum, size = hashlib.sha256(), 0
        for batch in self._read():
            pixels, foreground = batch.images.numpy(), batch.foreground.numpy()
            checksum.update(pixels.tobytes())
            checksum.update(foreground.tobytes())
            names += batch.names
            size += pixels.nbytes + foreground.nbytes
            if kept is not None:
                kept = [*kept, batch] if size <= KEPT else None
            yield batch
        self.names, self.pixels_sha256, self._kept = names, checksum.hexdigest(), kept

    def _read(self) -> Iterator[Batch]:
        for batch in self._loader:
            if isinstance(batch, BadSample):
                raise InputError(batch.message)
            yield batch
