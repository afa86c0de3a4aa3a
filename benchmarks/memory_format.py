"""Plain and S-IB steps with contiguous and with channels-last weights, interleaved.

python benchmarks/memory_format.py [--out benchmarks/results/memory-format-cpu.json]

Times are processor seconds on a CPU, in those of the contiguous step of the same kind.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import tyro
from rich.console import Console
from rich.table import Table
from timing import free_memory, interleave, machine, save
from training_steps import Problem, Setting, make_steps

from sib.utils.device import choose_device

ARCHITECTURES = (
    "timm/tf_efficientnet_lite0",
    "mobilenet_v3_large",
    "efficientnet_b0",
    "convnext_tiny",
    "resnet18",
    "resnet50",
    "densenet121",
)
MODES = ("plain", "sib")
FORMATS = {"contiguous": False, "channels last": True}
Row = dict[str, Any]


@dataclass(frozen=True)
class Options:
    """Time steps in both memory formats."""

    architectures: tuple[str, ...] = ARCHITECTURES
    """Names of architectures."""
    side: int = 160
    """Side of the square images."""
    batch: int = 4
    """Images in a step."""
    frozen: bool = True
    """Frozen batch norm, as in runs that start from weights; otherwise in train mode."""
    rounds: int = 5
    """Counted rounds."""
    device: str = "auto"
    """auto, cpu or cuda."""
    out: Path | None = None
    """JSON file to write, after each network."""


def main(options: Options) -> None:
    """Print a table and write the JSON file."""
    device = choose_device(options.device)
    rows: list[Row] = []
    for name in options.architectures:
        rows.append({"architecture": name, "frozen": options.frozen} | _time(name, options, device))
        free_memory(device)
        if options.out is not None:
            facts = {"machine": machine(device), "batch": options.batch, "side": options.side}
            save(options.out, facts | {"rows": rows})
    Console(width=100).print(_table(rows))


def _time(name: str, options: Options, device: torch.device) -> Row:
    steps = {}
    for words, channels_last in FORMATS.items():
        setting = Setting(
            name, options.side, options.batch, "float32", channels_last, options.frozen
        )
        for mode, step in make_steps(Problem.make(setting, device), MODES).items():
            steps[f"{mode}, {words}"] = step
    found = interleave(steps, options.rounds, device, catch=True)
    for mode in MODES:
        slow, fast = (found[f"{mode}, {words}"] for words in FORMATS)
        if "failed" not in slow and "failed" not in fast:
            fast["ratio"] = _seconds(fast, device) / _seconds(slow, device)
    return {"steps": found}


def _seconds(found: Row, device: torch.device) -> float:
    return float(found["processor_seconds" if device.type == "cpu" else "seconds"])


def _table(rows: list[Row]) -> Table:
    found = Table("architecture", *MODES, title="channels last, in contiguous steps")
    for row in rows:
        each = [row["steps"][f"{mode}, channels last"].get("ratio") for mode in MODES]
        cells = ["failed" if ratio is None else f"{ratio:.2f}" for ratio in each]
        found.add_row(row["architecture"], *cells)
    return found


if __name__ == "__main__":
    main(tyro.cli(Options))
