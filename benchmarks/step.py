"""One training step: plain, naive S-IB and ours in each mode, interleaved.

python benchmarks/step.py [--sides 64 224] [--out benchmarks/results/step-cpu.json]
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import naive
import torch
import torch.multiprocessing as mp
import torch.nn.functional as F
import tyro
from rich.console import Console
from rich.table import Table
from timing import added_memory, interleave, machine, save

import sib
from sib.models import build
from sib.utils.device import choose_device

WEIGHTS = (0.01, 1000.0)
CLASSES = 100
MODES = ("plain", "naive", "sib", "checkpointed", "half of the batch")
Row = dict[str, Any]


@dataclass(frozen=True)
class Options:
    """Time one training step."""

    architectures: tuple[str, ...] = ("resnet18", "resnet50", "densenet121", "vit_b_32")
    """Names of architectures."""
    sides: tuple[int, ...] = (64, 224)
    """Sides of the square images."""
    batch: int = 8
    """Images in a step at 224; four times as many at 64."""
    modes: tuple[str, ...] = MODES
    """Which steps; compiled, calibrated and "calibrated, measured" are others."""
    rounds: int = 5
    """Counted rounds."""
    device: str = "auto"
    """auto, cpu or cuda."""
    out: Path | None = None
    """JSON file to write."""


def main(options: Options) -> None:
    """Print a table and write the JSON file."""
    device = choose_device(options.device)
    rows: list[Row] = []
    for name in options.architectures:
        for side in options.sides:
            batch = options.batch * (4 if side <= 64 else 1)
            found = _time(name, side, batch, options, device)
            rows.append({"architecture": name, "side": side, "batch": batch, **found})
    Console(width=100).print(_table(rows))
    if options.out is not None:
        save(options.out, {"machine": machine(device), "rows": rows})


def _time(name: str, side: int, batch: int, options: Options, device: torch.device) -> Row:
    variants = make_variants(name, side, batch, device, options.modes)
    found = interleave(variants, options.rounds, device)
    if device.type == "cpu":  # one process has one peak, so each variant gets its own
        for each in variants:
            found[each]["memory_bytes"] = _alone(name, side, batch, each)
    return found


def _alone(name: str, side: int, batch: int, variant: str) -> int:
    """Bytes that a step adds to what its process held before it."""
    with mp.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak, (name, side, batch, variant, torch.get_num_threads()))


def _peak(name: str, side: int, batch: int, variant: str, threads: int) -> int:
    torch.set_num_threads(threads)
    device = choose_device("cpu")
    return added_memory(make_variants(name, side, batch, device, (variant,))[variant], device)


def make_variants(
    name: str, side: int, batch: int, device: torch.device, modes: tuple[str, ...]
) -> dict[str, Callable[[], object]]:
    """Steps by name; all share one model."""
    torch.manual_seed(0)
    model = build(name, CLASSES, side).to(device).train()
    images = torch.randn(batch, 3, side, side, device=device)
    labels = torch.randint(CLASSES, (batch,), device=device)

    def plain() -> None:
        model.zero_grad(set_to_none=True)
        F.cross_entropy(model(images), labels).backward()

    def transcribed() -> None:
        model.zero_grad(set_to_none=True)
        naive.step(model, images, labels, WEIGHTS)

    def stepping(**options: Any) -> Callable[[], None]:
        task = sib.SpatialIBTask(model, sib.SpatialIB(*WEIGHTS), validate=False, **options)

        def step() -> None:
            model.zero_grad(set_to_none=True)
            task.backward(task(images, labels).loss)

        return step

    def calibrated(measured: bool) -> Callable[[], None]:
        """A step that measures the weights of the terms, or one of the seven that do not."""
        task = sib.SpatialIBTask(model, sib.SpatialIB.calibrated(), validate=False)

        def step() -> None:
            model.zero_grad(set_to_none=True)
            task.step = 0 if measured else 1
            task.backward(task(images, labels).loss)

        return step

    def compiled() -> Callable[[], None]:
        task = sib.SpatialIBTask(model, sib.SpatialIB(*WEIGHTS), validate=False)
        task.compile()

        def step() -> None:
            model.zero_grad(set_to_none=True)
            task.backward(task(images, labels).loss)

        return step

    makers: dict[str, Callable[[], Callable[[], None]]] = {
        "plain": lambda: plain,
        "naive": lambda: transcribed,
        "sib": stepping,
        "checkpointed": lambda: stepping(checkpoint=True),
        "half of the batch": lambda: stepping(fraction=0.5),
        "calibrated": lambda: calibrated(measured=False),
        "calibrated, measured": lambda: calibrated(measured=True),
        "compiled": compiled,
    }
    return {mode: makers[mode]() for mode in dict.fromkeys(modes)}


def _table(rows: list[Row]) -> Table:
    modes = [mode for mode in rows[0] if isinstance(rows[0][mode], dict)]
    table = Table(
        "architecture",
        "batch × side",
        "plain, s",
        *(mode for mode in modes if mode != "plain"),
        "naive / sib",
        title="one step in plain ones: time, and below it the memory it adds",
    )
    for row in rows:
        plain = row["plain"]
        cells = [
            f"{row[mode]['seconds'] / plain['seconds']:.2f}\n"
            f"{row[mode]['memory_bytes'] / plain['memory_bytes']:.2f}"
            for mode in modes
            if mode != "plain"
        ]
        shape = f"{row['batch']} × {row['side']}²"
        gain = "sib" in row and "naive" in row
        cells.append(f"{row['naive']['seconds'] / row['sib']['seconds']:.2f}" if gain else "")
        table.add_row(row["architecture"], shape, f"{plain['seconds']:.3f}", *cells)
    return table


if __name__ == "__main__":
    main(tyro.cli(Options))
