"""One S-IB step of a whole batch and of the same batch in micro-batches: work, time, peak memory.

python benchmarks/micro_batch.py [--out benchmarks/results/micro-batch-cpu.json]
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.multiprocessing as mp
import tyro
from rich.console import Console
from rich.table import Table
from timing import added_memory, interleave, machine, save
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

import sib
from sib.models import build
from sib.utils.device import choose_device

CLASSES = 100


@dataclass(frozen=True)
class Options:
    """Time a step, and find its peak memory in a process of its own."""

    architectures: tuple[str, ...] = ("resnet18", "resnet50")
    """Names of architectures."""
    side: int = 112
    """Side of the square images."""
    batch: int = 16
    """Images in a step."""
    micro_batches: tuple[int, ...] = (16, 8, 4)
    """Images whose graph is held at a time; the first is the measure of the others."""
    rounds: int = 3
    """Counted rounds."""
    device: str = "auto"
    """auto, cpu or cuda."""
    out: Path | None = None
    """JSON file to write."""


def main(options: Options) -> None:
    """Print a table and write the JSON file."""
    device = choose_device(options.device)
    # memory first: on Linux a process starts with the peak of the one that made it
    memory = {
        (name, size): _alone(name, options, size)
        for name in options.architectures
        for size in options.micro_batches
    }
    rows = [
        row | {"step_bytes": memory[row["architecture"], row["micro_batch"]]}
        for name in options.architectures
        for row in _time(name, options, device)
    ]
    Console(width=100).print(_table(rows, device.type == "cpu"))
    if options.out is not None:
        shape = {"side": options.side, "batch": options.batch}
        save(options.out, {"machine": machine(device), **shape, "rows": rows})


def _time(name: str, options: Options, device: torch.device) -> list[dict[str, Any]]:
    step = _make(name, options, device)
    variants: dict[str, Callable[[], object]] = {
        str(size): lambda size=size: step(size) for size in options.micro_batches
    }
    times = interleave(variants, options.rounds, device)
    work = {each: _operations(run) for each, run in variants.items()}
    return [
        {
            "architecture": name,
            "micro_batch": size,
            "operations": work[str(size)],
            **times[str(size)],
        }
        for size in options.micro_batches
    ]


class Operations(TorchDispatchMode):
    """Counts the operations of convolutions and matrix products.

    torch's own FlopCounterMode watches modules too, and its hooks forbid a gradient of a gradient.
    """

    total = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        count = flop_registry.get(func._overloadpacket)
        self.total += count(*args, **(kwargs or {}), out_val=out) if count else 0
        return out


def _operations(run: Callable[[], object]) -> int:
    with Operations() as operations:
        run()
    return operations.total


def _make(name: str, options: Options, device: torch.device) -> Callable[[int], object]:
    torch.manual_seed(0)
    model = build(name, CLASSES, options.side).to(device).train()
    task = sib.SpatialIBTask(model, validate=False)
    images = torch.randn(options.batch, 3, options.side, options.side, device=device)
    labels = torch.randint(CLASSES, (options.batch,), device=device)

    def step(size: int) -> None:
        model.zero_grad(set_to_none=True)
        sib.accumulate(task, images, labels, size)

    return step


def _alone(name: str, options: Options, size: int) -> int:
    """Bytes that a step adds to what the process held before it, weights and images included."""
    context = mp.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_peak, (name, options, size, torch.get_num_threads()))


def _peak(name: str, options: Options, size: int, threads: int) -> int:
    torch.set_num_threads(threads)
    device = choose_device(options.device)
    step = _make(name, options, device)
    return added_memory(lambda: step(size), device)


def _table(rows: list[dict[str, Any]], on_cpu: bool) -> Table:
    """On a CPU by processor seconds, which other processes on the machine disturb less."""
    table = Table("architecture", "micro-batch", "step, s", "operations", "time", "step adds, GiB")
    whole: dict[str, dict[str, Any]] = {}
    for row in rows:
        clock = "processor_seconds" if on_cpu else "seconds"
        first = whole.setdefault(row["architecture"], row)
        table.add_row(
            row["architecture"],
            str(row["micro_batch"]),
            f"{row[clock]:.2f}",
            f"{row['operations'] / first['operations']:.2f}",
            f"{row[clock] / first[clock]:.2f}",
            f"{row['step_bytes'] / 2**30:.2f}",
        )
    return table


if __name__ == "__main__":
    main(tyro.cli(Options))
