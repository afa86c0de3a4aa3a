"""The input of one epoch: images decoded and resized each time, and read from the cache.

python benchmarks/input.py FOLDER... [--out benchmarks/results/input-cpu.json]

Rates are images in a second of processor time, so they are those of one core and do not count the
time in which another process had it. They hold for --workers 0, where this process does all.
"""

import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import tyro
from PIL import Image
from rich.console import Console
from rich.table import Table
from timing import interleave, machine, save
from torchvision.transforms.functional import to_pil_image

from sib.config.choices import Augment
from sib.data import Loader, Source, make_loader, open_data
from sib.data.cache import bytes_of, cache_sources, readable

BATCH = 32
KINDS = ("files", "crops", "cache")
"""Decoded and resized to the whole image; to random crops, as for ImageNet; from the cache."""


@dataclass(frozen=True)
class Options:
    """Time the input of one epoch."""

    folders: tyro.conf.Positional[tuple[Path, ...]]
    """Data sets; all their training images are read."""
    side: int = 224
    """Side of the square images."""
    workers: int = 0
    """Processes that read images; 0 reads in the main one."""
    enlarge: float = 1.0
    """Factor by which the photographs are enlarged first and written as JPEG of quality 90;
    ImageNet's have 469 × 387 pixels on average."""
    rounds: int = 5
    """Counted rounds."""
    out: Path | None = None
    """JSON file to write."""


def main(options: Options) -> None:
    """Print a table and write the JSON file."""
    rows = [_time(folder, options) for folder in options.folders]
    Console(width=120).print(_table(rows))
    if options.out is not None:
        save(options.out, {"machine": machine(torch.device("cpu")), "rows": rows})


def _time(folder: Path, options: Options) -> dict[str, Any]:
    """Files are read from memory by both variants after the round that is not counted."""
    with tempfile.TemporaryDirectory() as cache:
        source = _source(folder, options.enlarge, Path(cache) / "enlarged")
        start = time.perf_counter()
        sources = {"train": source}
        kept = cache_sources(sources, options.side, Path(cache), workers=options.workers)["train"]
        building = time.perf_counter() - start
        variants = {
            "files": _epoch(source, options, "flip"),
            "crops": _epoch(source, options, "crop"),
            "cache": _epoch(kept, options, "flip"),
        }
        times = interleave(variants, options.rounds, torch.device("cpu"))
    facts = {"data": folder.resolve().name, "images": len(source), "side": options.side}
    facts["enlarge"] = options.enlarge
    size = bytes_of(len(source), options.side)
    return {**facts, "workers": options.workers, "bytes": size, "building": building, **times}


def _source(folder: Path, enlarge: float, copies: Path) -> Source:
    """The training images of a folder, or enlarged copies of them."""
    source = open_data(str(folder), hold_out_validation=False).train
    if enlarge == 1:
        return source
    for index, label in enumerate(source.labels):
        image = to_pil_image(source[index].image)
        place = copies / "train" / f"{label}"
        place.mkdir(parents=True, exist_ok=True)
        size = (round(image.width * enlarge), round(image.height * enlarge))
        image.resize(size, Image.Resampling.BICUBIC).save(place / f"{index}.jpg", quality=90)
    shutil.copytree(copies / "train", copies / "test")
    return open_data(str(copies), hold_out_validation=False).train


def _epoch(source: Source, options: Options, augment: Augment) -> Callable[[], object]:
    """Reads every batch of the next epoch, shuffled and augmented."""
    loader: Loader = make_loader(
        source,
        image_size=options.side,
        batch_size=BATCH,
        augment=augment,
        train=True,
        workers=options.workers,
    )
    epochs = iter(range(10**6))

    def read() -> None:
        loader.set_epoch(next(epochs))
        assert sum(len(batch.labels) for batch in loader) == len(source)

    return read


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(
        "data",
        "images",
        "files, s",
        "cache, s",
        "files / cache",
        "files, 1/s",
        "crops, 1/s",
        "cache, 1/s",
        "building, s",
        "size",
        title="input of one epoch, medians of interleaved rounds; images a second of one core",
    )
    for row in rows:
        files, cache = row["files"]["seconds"], row["cache"]["seconds"]
        table.add_row(
            row["data"],
            f"{row['images']} × {row['side']}²",
            f"{files:.2f}",
            f"{cache:.3f}",
            f"{files / cache:.1f}",
            *(f"{row['images'] / row[kind]['processor_seconds']:.0f}" for kind in KINDS),
            f"{row['building']:.2f}",
            readable(row["bytes"]),
        )
    return table


if __name__ == "__main__":
    main(tyro.cli(Options))
