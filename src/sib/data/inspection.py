"""What is found about every image of a data set, read in parallel by ``sib data check``."""

from typing import Any, NamedTuple

from rich.console import Console
from torch.utils.data import ConcatDataset, DataLoader, Dataset

from sib.data.coverage import is_around
from sib.data.headers import boxes_of
from sib.data.readers.decode import UPRIGHT, opened, orientation_of
from sib.data.readers.masks import OVERHANG, check_box
from sib.data.reading import prepare_worker, read_batches
from sib.data.records import RecordSource
from sib.data.sample import MaskFile
from sib.data.source import Source
from sib.utils.errors import InputError
from sib.utils.progress_bar import tracked


class Finding(NamedTuple):
    """What was found about one image."""

    problem: str | None
    annotated: bool = False
    overhanging: bool = False
    """Whether a box leaves the image, where it is cut off."""
    whole: bool = False
    """Whether the foreground covers the whole image."""
    around: bool = False
    """Whether the foreground holds the edge of the image and leaves out a part inside."""
    turned: bool = False
    """Whether the image has an EXIF orientation and its mask has none."""


def inspect_all(sources: list[Any], workers: int, console: Console) -> list[list[Finding]]:
    """The findings of each source, read in parallel."""
    dataset: ConcatDataset[Finding] = ConcatDataset([_Inspected(source) for source in sources])
    workers = min(workers, len(dataset) // 100)
    loader: DataLoader[Finding] = DataLoader(
        dataset,
        batch_size=64,
        num_workers=workers,
        collate_fn=list,
        worker_init_fn=prepare_worker,
    )
    batches = tracked(console, "reading images", read_batches(loader), len(loader))
    found = iter([item for batch in batches for item in batch])
    return [[next(found) for _ in range(len(source))] for source in sources]


class _Inspected(Dataset[Finding]):
    """The findings of a source, computed in the process that asks."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Finding:
        try:
            sample = self.source[index]
            size = (sample.image.shape[-2], sample.image.shape[-1])
            overhanging = _overhangs(self.source, index, size)
        except InputError as error:
            return Finding(str(error))
        if sample.foreground is not None and not sample.foreground.any():
            return Finding(f"{self.source.names[index]}: its foreground is empty", True)
        known = sample.foreground is not None
        whole = sample.foreground is not None and bool(sample.foreground.all())
        around = sample.foreground is not None and is_around(sample.foreground)
        return Finding(None, known, overhanging, whole, around, _is_turned(self.source, index))


def _overhangs(source: Source, index: int, size: tuple[int, int]) -> bool:
    """Whether a box leaves its image.

    Raises:
        InputError: a box has no extent or covers no pixel.
    """
    if not isinstance(source, RecordSource):
        return False
    overhangs = False
    for box in boxes_of(source.records[index], size):
        check_box(box, size, source.names[index], overhang=float("inf"))
        beyond = (box.left + box.width - size[1], box.top + box.height - size[0])
        overhangs |= max(-box.left, -box.top, *beyond) > OVERHANG
    return overhangs


def _is_turned(source: Source, index: int) -> bool:
    """Whether an image has an EXIF orientation, and a mask that has none."""
    if not isinstance(source, RecordSource):
        return False
    record = source.records[index]
    if not isinstance(record.foreground, MaskFile):
        return False
    with opened(record.image) as image, opened(record.foreground.path) as mask:
        return orientation_of(image) in UPRIGHT and orientation_of(mask) not in UPRIGHT
