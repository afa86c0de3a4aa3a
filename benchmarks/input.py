"""The input of one epoch: images decoded and resized each time, and read from the cache.

python benchmarks/input.py FOLDER... [--out benchmarks/results/input-cpu.json]
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import tyro
from rich.console import Console
from rich.table import Table
from timing import interleave, machine, save

from sib.data import Loader, Source, make_loader, open_data
from sib.data.cache import bytes_of, cache_sources, readable

BATCH = 32


@dataclass(frozen=True)
class Options:
    """Time the input of one epoch."""

    folders: tyro.conf.Positional[tuple[Path, ...]]
    """Data sets; all their training images are read."""
    side: int = 224
    """Side of the square images."""
    workers: int = 0
    """Processes that read images; 0 reads in the main one."""
    rounds: int = 5
    """Counted rounds."""
    out: Path | None = None
    """JSON file to write."""


def main(options: Options) -> None:
    """Print a table and write the JSON file."""
    rows = [_time(folder, options) for folder in options.folders]
    Console(width=100).print(_table(rows))
    if options.out is not None:
        save(options.out, {"machine": machine(torch.device("cpu")), "rows": rows})


def _time(folder: Path, options: Options) -> dict[str, Any]:
    """Files are read from memory by both variants after the round that is not counted."""
    source = open_data(str(folder), hold_out_validation=False).train
    with tempfile.TemporaryDirectory() as cache:
        start = time.perf_counter()
        sources = {"train": source}
        kept = cache_sources(sources, options.side, Path(cache), workers=options.workers)["train"]
        building = time.perf_counter() - start
        variants = {"files": _epoch(source, options), "cache": _epoch(kept, options)}
        times = interleave(variants, options.rounds, torch.device("cpu"))
    facts = {"data": folder.resolve().name, "images": len(source), "side": options.side}
    size = bytes_of(len(source), options.side)
    return {**facts, "workers": options.workers, "bytes": size, "building": building, **times}


def _epoch(source: Source, options: Options) -> Callable[[], object]:
    """Reads every batch of the next epoch, shuffled and flipped."""
    loader: Loader = make_loader(
        source,
        image_size=options.side,
        batch_size=BATCH,
        augment="flip",
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
        "building, s",
        "size",
        title="input of one epoch, medians of interleaved rounds",
    )
    for row in rows:
        files, cache = row["files"]["seconds"], row["cache"]["seconds"]
        table.add_row(
            row["data"],
            f"{row['images']} × {row['side']}²",
            f"{files:.2f}",
            f"{cache:.3f}",
            f"{files / cache:.1f}",
            f"{row['building']:.2f}",
            readable(row["bytes"]),
        )
    return table


if __name__ == "__main__":
    main(tyro.cli(Options))
