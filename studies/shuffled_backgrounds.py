"""What runs on the built-in digits lose where the background says nothing about the class.

python studies/shuffled_backgrounds.py RUN... [--split validation]

Each run is measured on its own images, and on the same digits with backgrounds drawn regardless of
the class.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import torch
import tyro
from rich.console import Console
from rich.table import Table

from sib.data import make_loader, open_data
from sib.evaluation.checkpoint import open_checkpoint
from sib.runs.reader import read_run
from sib.training.validation import Measurement, measure


@dataclass(frozen=True)
class Options:
    """Measure runs with and without backgrounds that predict the class."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Run folders of sib train --data digits."""
    split: Literal["test", "validation"] = "test"
    """Images to measure on."""


def main(options: Options) -> None:
    """Print a table, a row a run."""
    table = Table("run", "accuracy", "backgrounds shuffled", "lost", "energy", "energy, shuffled")
    for folder in options.runs:
        own, shuffled = (_measured(folder, options.split, each) for each in (None, 0.0))
        figures = (own.accuracy, shuffled.accuracy, own.accuracy - shuffled.accuracy)
        energies = (own.foreground_energy, shuffled.foreground_energy)
        table.add_row(folder.name, *(f"{each:.3f}" for each in (*figures, *energies)))
    Console(width=100).print(table)


def _measured(folder: Path, split: str, strength: float | None) -> Measurement:
    run, cpu = read_run(folder), torch.device("cpu")
    checkpoint = open_checkpoint(folder, cpu)
    options = run.config["input"]
    splits = open_data(
        "digits",
        image_size=checkpoint.image_size,
        background_strength=options["background_strength"] if strength is None else strength,
        train_size=options["train_size"],
        test_size=options["test_size"],
        validation_fraction=options["validation_fraction"],
        split_seed=options["split_seed"],
    )
    source = getattr(splits, split)
    loader = make_loader(source, image_size=checkpoint.image_size, batch_size=100, train=False)
    return measure(checkpoint.model, loader, cpu, checkpoint.normalization)


if __name__ == "__main__":
    main(tyro.cli(Options))
