"""Steps with memory in ordinary and in huge pages; each variant in processes of its own, in turn.

python benchmarks/huge_pages.py [--out benchmarks/results/huge-pages-cpu.json]

On Linux, glibc 2.35 and newer asks the kernel for huge pages where ``GLIBC_TUNABLES`` holds
``glibc.malloc.hugetlb=1``. The variable is read when a process starts. Times are processor seconds.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import tyro
from rich.console import Console
from rich.table import Table
from timing import interleave, machine, save
from training_steps import Problem, Setting, make_steps

from sib.models.memory_format import choose_memory_format

VARIANTS = {"ordinary": "", "huge": "glibc.malloc.hugetlb=1"}
KERNEL = Path("/sys/kernel/mm/transparent_hugepage/enabled")
MODES = ("plain", "sib")
Row = dict[str, Any]


@dataclass(frozen=True)
class Options:
    """Time steps with both kinds of pages."""

    architectures: tuple[str, ...] = ("resnet18", "timm/tf_efficientnet_lite0", "vit_b_32")
    """Names of architectures."""
    side: int = 224
    """Side of the square images."""
    batch: int = 8
    """Images in a step."""
    rounds: int = 5
    """Processes for each variant."""
    out: Path | None = None
    """JSON file to write, after each network."""


def main(options: Options) -> None:
    """Print a table and write the JSON file.

    Raises:
        SystemExit: this is not Linux.
    """
    if not KERNEL.exists():
        raise SystemExit("this benchmark needs Linux with transparent huge pages")
    facts = {
        "machine": machine(torch.device("cpu")),
        "kernel": KERNEL.read_text().strip(),
        "batch": options.batch,
        "side": options.side,
    }
    rows: list[Row] = []
    for name in options.architectures:
        rows.append({"architecture": name} | _compare(name, options))
        if options.out is not None:
            save(options.out, facts | {"rows": rows})
    Console(width=100).print(_table(rows))


def _compare(name: str, options: Options) -> Row:
    """Median processor seconds and peak memory of each kind of step with each kind of pages."""
    found: dict[str, list[Row]] = {kind: [] for kind in VARIANTS}
    for _ in range(options.rounds):
        for kind, value in VARIANTS.items():
            found[kind].append(_in_a_process(name, options, value))
    return {
        kind: {key: statistics.median(each[key] for each in rounds) for key in rounds[0]}
        for kind, rounds in found.items()
    }


def _in_a_process(name: str, options: Options, tunables: str) -> Row:
    done = subprocess.run(
        [sys.executable, __file__, "--alone", name, str(options.side), str(options.batch)],
        env=os.environ | {"GLIBC_TUNABLES": tunables},
        check=True,
        stdout=subprocess.PIPE,
    )
    found: Row = json.loads(done.stdout)
    return found


def alone(name: str, side: int, batch: int) -> Row:
    """Time the steps of one network in this process, in the memory format that a run has."""
    device = torch.device("cpu")
    problem = Problem.make(Setting(name, side, batch, frozen=True), device)
    if choose_memory_format(problem.model, device) == "channels_last":
        problem = Problem.make(replace(problem.setting, channels_last=True), device)
    steps = interleave(make_steps(problem, MODES), 3, device)
    found = {mode: each["processor_seconds"] for mode, each in steps.items()}
    return found | {"peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def _table(rows: list[Row]) -> Table:
    title = "huge pages, in steps with ordinary ones"
    found = Table("architecture", *MODES, "peak memory", title=title)
    for row in rows:
        ratios = [row["huge"][key] / row["ordinary"][key] for key in (*MODES, "peak_mib")]
        found.add_row(row["architecture"], *(f"{ratio:.2f}" for ratio in ratios))
    return found


if __name__ == "__main__":
    if sys.argv[1:2] == ["--alone"]:
        print(json.dumps(alone(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))))
    else:
        main(tyro.cli(Options))
