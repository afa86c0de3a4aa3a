"""One training step: plain, naive S-IB and ours, interleaved.

python benchmarks/step.py [--sides 64 224] [--out benchmarks/results/step-cpu.json]
"""

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import naive
import torch
import torch.nn.functional as F
import tyro
from rich.console import Console
from rich.table import Table
from timing import interleave, machine, save
from torch import nn

import sib
from sib.models import build
from sib.training.device import choose_device

WEIGHTS = (0.01, 1000.0)
CLASSES = 100


@dataclass(frozen=True)
class Options:
    """Time one training step."""

    architectures: tuple[str, ...] = ("resnet18", "resnet50", "densenet121", "vit_b_32")
    """Names of architectures."""
    sides: tuple[int, ...] = (64, 224)
    """Sides of the square images."""
    batch: int = 8
    """Images in a step at 224; four times as many at 64."""
    rounds: int = 5
    """Counted rounds."""
    device: str = "auto"
    """auto, cpu or cuda."""
    out: Path | None = None
    """JSON file to write."""


def main(options: Options) -> None:
    """Print a table and write the JSON file."""
    device = choose_device(options.device)
    rows: list[dict[str, Any]] = []
    for name in options.architectures:
        for side in options.sides:
            batch = options.batch * (4 if side <= 64 else 1)
            found = _time(name, side, batch, options.rounds, device)
            rows.append({"architecture": name, "side": side, "batch": batch, **found})
    Console(width=100).print(_table(rows))
    if options.out is not None:
        save(options.out, {"machine": machine(device), "rows": rows})


def _time(name: str, side: int, batch: int, rounds: int, device: torch.device) -> dict[str, Any]:
    torch.manual_seed(0)
    model = build(name, CLASSES, side).to(device).train()
    images = torch.randn(batch, 3, side, side, device=device)
    labels = torch.randint(CLASSES, (batch,), device=device)
    return interleave(_variants(model, images, labels), rounds, device)


def _variants(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor
) -> dict[str, Callable[[], object]]:
    task = sib.SpatialIBTask(model, sib.SpatialIB(*WEIGHTS), validate=False)

    @contextmanager
    def cleared():
        yield
        model.zero_grad(set_to_none=True)

    @cleared()
    def plain():
        F.cross_entropy(model(images), labels).backward()

    @cleared()
    def transcribed():
        naive.step(model, images, labels, WEIGHTS)

    @cleared()
    def ours():
        task.backward(task(images, labels).loss)

    return {"plain": plain, "naive": transcribed, "ours": ours}


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(
        "architecture",
        "batch × side",
        "plain, s",
        "naive / plain",
        "ours / plain",
        "naive / ours",
        title="one step, medians of interleaved rounds",
    )
    for row in rows:
        plain, slow, ours = (row[name]["seconds"] for name in ("plain", "naive", "ours"))
        table.add_row(
            row["architecture"],
            f"{row['batch']} × {row['side']}²",
            f"{plain:.3f}",
            f"{slow / plain:.2f}",
            f"{ours / plain:.2f}",
            f"{slow / ours:.2f}",
        )
    return table


if __name__ == "__main__":
    main(tyro.cli(Options))
