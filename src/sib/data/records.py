"""Images on disk as a source."""

import os
from collections.abc import Sequence
from pathlib import Path

from sib.data.readers.decode import ValueRange, read_image
from sib.data.readers.masks import read_foreground
from sib.data.sample import Label, MaskFile, Record, Sample
from sib.utils.errors import InputError


class RecordSource:
    """Images that are read from disk on each access.

    Args:
        records: (N,) where the files are.
        classes: (K,) names by label.
        value_range: values of 16-bit images; see `read_image`.
    """

    records: Sequence[Record]
    names: Sequence[str]
    value_range: ValueRange | None = None

    def __init__(
        self,
        records: Sequence[Record],
        classes: list[str],
        value_range: ValueRange | None = None,
    ) -> None:
        self.records, self.classes, self.value_range = list(records), classes, value_range
        self.labels: Sequence[Label] = [record.label for record in records]
        self.names = [record.name for record in records]
        self.annotated = any(record.foreground is not None for record in records)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.records)

    def __getitem__(self, index: int) -> Sample:
        """Read image ``index`` and its foreground at their own size.

        Raises:
            InputError: a file is missing or damaged, or the mask does not fit.
        """
        record = self.records[index]
        image = read_image(record.image, self.value_range)
        if record.foreground is None:
            return Sample(image, record.label, None)
        height, width = image.shape[-2:]
        return Sample(image, record.label, read_foreground(record.foreground, (height, width)))

    def fingerprints(self) -> list[str]:
        """For each image, a line of its files' names, sizes and times, and its boxes.

        Raises:
            InputError: a file is missing.
        """
        stretched = f" {self.value_range}" if self.value_range else ""
        return [_fingerprint(record) + stretched for record in self.records]

    @property
    def foregrounds(self) -> int:
        """Number of images that have a foreground."""
        return sum(record.foreground is not None for record in self.records)

    def subset(self, indices: Sequence[int]) -> "RecordSource":
        """A source of the images at these indices, in that order."""
        chosen = [self.records[index] for index in indices]
        return RecordSource(chosen, self.classes, self.value_range)


def _fingerprint(record: Record) -> str:
    parts = [record.name, _stamp(record.image)]
    if isinstance(record.foreground, MaskFile):
        mask = record.foreground
        place = os.path.relpath(mask.path, record.image.parent)
        parts += [place, mask.rule.name, _stamp(mask.path)]
    elif record.foreground is not None:
        parts += [repr(record.foreground)]
    return repr(parts)


def _stamp(path: Path) -> str:
    try:
        facts = path.stat()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    # the time of change can be set, as archives do, and sizes agree where nothing is compressed
    return f"{facts.st_size} bytes {facts.st_mtime_ns} ns {facts.st_ctime_ns} ns"
