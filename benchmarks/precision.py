"""Accuracy and foreground energy after 200 steps in each precision, over seeds, on built-in images.

python benchmarks/precision.py [--out benchmarks/results/precision-cpu.json]
"""

import statistics
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import tyro
from rich.console import Console
from rich.table import Table
from timing import machine, save

from sib.cli.console import ConsoleReporter
from sib.config.train import InputConfig, ObjectiveConfig
from sib.training import TrainConfig, train
from sib.utils.device import choose_device


@dataclass(frozen=True)
class Options:
    """Train 200 steps of 32 images in each precision."""

    precisions: tuple[str, ...] = ("float32", "bfloat16", "float16")
    """Of the model."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Of weights and order."""
    image_size: int = 32
    """Side of the square images."""
    background_weight: float = 1e5
    """λ_bg: at the published one the terms hardly take part."""
    device: str = "auto"
    """auto, cpu or cuda."""
    out: Path | None = None
    """JSON file to write."""


def main(options: Options) -> None:
    """Print a table and write the JSON file."""
    device = choose_device(options.device)
    rows: list[dict[str, Any]] = []
    for seed in options.seeds:
        for precision in options.precisions:
            rows.append({"precision": precision, "seed": seed, **_run(options, precision, seed)})
    Console(width=100).print(_table(rows, options.precisions))
    if options.out is not None:
        facts = {"image_size": options.image_size, "background_weight": options.background_weight}
        save(options.out, {"machine": machine(device), "steps": 200, **facts, "rows": rows})


def _run(options: Options, precision: str, seed: int) -> dict[str, float]:
    with TemporaryDirectory() as folder:
        config = TrainConfig(
            data="digits",
            out=Path(folder) / "run",
            arch="small_resnet",
            image_size=options.image_size,
            epochs=4,
            batch_size=32,
            seed=seed,
            device=options.device,
            precision=precision,  # type: ignore[arg-type]
            workers=0,
            objective=ObjectiveConfig(background_weight=options.background_weight),
            input=InputConfig(validation_fraction=0.2, train_size=2000, test_size=1000),
        )
        result = train(config, ConsoleReporter(Console(stderr=True)))
    assert result is not None
    return {key: result["test"][key] for key in ("accuracy", "foreground_energy")}


def _table(rows: list[dict[str, Any]], precisions: tuple[str, ...]) -> Table:
    table = Table("precision", "accuracy: mean, smallest … largest", "foreground energy")
    for precision in precisions:
        cells = []
        for key in ("accuracy", "foreground_energy"):
            found = [row[key] for row in rows if row["precision"] == precision]
            cells.append(f"{statistics.mean(found):.3f}, {min(found):.3f} … {max(found):.3f}")
        table.add_row(precision, *cells)
    return table


if __name__ == "__main__":
    main(tyro.cli(Options))
