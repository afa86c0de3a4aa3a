"""Seconds an image of the plain and the S-IB step, against the batch and against the image's side.

python benchmarks/scaling.py [--out benchmarks/results/scaling-cpu.json]
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from rich.console import Console
from rich.table import Table
from timing import interleave, machine, save
from training_steps import make_variants

from sib.utils.device import choose_device


@dataclass(frozen=True)
class Options:
    """Time steps of growing batches and of growing images."""

    arch: str = "resnet18"
    """Name of the architecture."""
    batches: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128, 256)
    """Images in a step; HSIC needs two, so one image is timed in the plain step alone."""
    batch_side: int = 64
    """Side of the images whose number grows."""
    sides: tuple[int, ...] = (32, 64, 112, 160, 224, 320, 448)
    """Sides of the images that grow."""
    side_batch: int = 8
    """Number of the images that grow."""
    rounds: int = 3
    """Counted rounds."""
    device: str = "auto"
    """auto, cpu or cuda."""
    out: Path | None = None
    """JSON file to write."""


def main(options: Options) -> None:
    """Print a table and write the JSON file."""
    device = choose_device(options.device)
    shapes = [(batch, options.batch_side) for batch in options.batches]
    shapes += [(options.side_batch, side) for side in options.sides]
    rows: list[dict[str, Any]] = []
    for batch, side in shapes:
        modes = ("plain", "sib") if batch > 1 else ("plain",)
        variants = make_variants(options.arch, side, batch, device, modes)
        rows.append({"batch": batch, "side": side, **interleave(variants, options.rounds, device)})
    Console(width=100).print(_table(options.arch, rows))
    if options.out is not None:
        save(options.out, {"machine": machine(device), "arch": options.arch, "rows": rows})


def _table(arch: str, rows: list[dict[str, Any]]) -> Table:
    table = Table("batch × side", "plain, ms an image", "S-IB, ms an image", "ratio", title=arch)
    for row in rows:
        plain, ours = (row[name]["seconds"] if name in row else None for name in ("plain", "sib"))
        each = [
            f"{1e3 * seconds / row['batch']:.2f}" if seconds else "" for seconds in (plain, ours)
        ]
        ratio = f"{ours / plain:.2f}" if ours else ""
        table.add_row(f"{row['batch']} × {row['side']}²", *each, ratio)
    return table


if __name__ == "__main__":
    main(tyro.cli(Options))
