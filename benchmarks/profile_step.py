"""Where the time of an S-IB step goes, by kind of operation, beside that of a plain step.

python benchmarks/profile_step.py [--out benchmarks/results/profile-cpu.json]
"""

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro
from rich.console import Console
from rich.table import Table
from timing import machine, save
from torch.profiler import ProfilerActivity, profile
from training_steps import make_variants

from sib.utils.device import choose_device, synchronize

KINDS = {
    "convolution and matrix product": ("conv", "mm", "linear", "addmm", "bmm", "mkldnn", "cudnn"),
    "batch norm": ("batch_norm", "BatchNorm", "layer_norm"),
    "copies and concatenation": ("copy_", "cat", "contiguous", "clone", "fill_", "zero_"),
}
"""Parts of the names of torch's operations; every other operation is elementwise or a reduction."""


@dataclass(frozen=True)
class Options:
    """Profile one training step."""

    architectures: tuple[str, ...] = ("resnet18", "resnet50", "densenet121", "vit_b_32")
    """Names of architectures."""
    side: int = 224
    """Side of the square images."""
    batch: int = 8
    """Images in a step."""
    device: str = "auto"
    """auto, cpu or cuda."""
    out: Path | None = None
    """JSON file to write."""


def main(options: Options) -> None:
    """Print a table and write the JSON file."""
    device = choose_device(options.device)
    table = Table(title="share of a plain step's time", caption="the plain step is 1.00 in all")
    for heading in ("architecture", "step", *KINDS, "elementwise and reductions", "all"):
        table.add_column(heading)
    rows = []
    for name in options.architectures:
        variants = make_variants(name, options.side, options.batch, device, ("plain", "sib"))
        seen = {kind: _profile(run, device) for kind, run in variants.items()}
        found = {kind: each[0] for kind, each in seen.items()}
        whole = sum(found["plain"].values())
        for step, seconds in found.items():
            shares = [seconds[kind] / whole for kind in (*KINDS, "rest")]
            table.add_row(name, step, *(f"{share:.2f}" for share in (*shares, sum(shares))))
            rows.append(
                {"architecture": name, "step": step, "seconds": dict(seconds)} | seen[step][1]
            )
    Console(width=120).print(table)
    if options.out is not None:
        save(options.out, {"machine": machine(device), "rows": rows})


def _profile(
    run: Callable[[], object], device: torch.device
) -> tuple[dict[str, float], dict[str, float]]:
    """Own time of the operations by kind, of one step; on CUDA, what starting its kernels costs."""
    run()
    cuda = device.type == "cuda"
    synchronize(device)
    start = time.perf_counter()
    run()
    synchronize(device)
    wall = time.perf_counter() - start
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
    with profile(activities=activities) as found:
        run()
    seconds: dict[str, float] = defaultdict(float)
    for event in found.key_averages():
        own = event.self_device_time_total if cuda else event.self_cpu_time_total
        seconds[_kind(event.key)] += own / 1e6
    if not cuda:
        return seconds, {}
    kernels = [each for each in found.key_averages() if "CUDA" in str(each.device_type)]
    return seconds, {
        "wall_seconds": wall,
        "kernel_seconds": sum(each.self_device_time_total for each in kernels) / 1e6,
        "kernels": sum(each.count for each in kernels),
    }


def _kind(name: str) -> str:
    return next(
        (kind for kind, parts in KINDS.items() if any(part in name for part in parts)), "rest"
    )


if __name__ == "__main__":
    main(tyro.cli(Options))
