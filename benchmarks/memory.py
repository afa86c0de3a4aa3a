"""Tensors at the peak of a training step: python benchmarks/memory.py --out FILE

Bytes that torch allocates for tensors between the start of a step and its peak, from torch's own
record. Neither other processes nor the way in which an allocator keeps freed memory change them.
Gradients of the weights that were there before are dropped first, as at the start of a step.
`benchmarks/step.py` measures the memory of the process instead.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
import tyro
from rich.console import Console
from rich.table import Table
from step import ARCHITECTURES
from timing import machine, save
from torch.profiler import ProfilerActivity, profile
from training_steps import Problem, Setting, batch_norms, make_steps

STEPS = {
    "plain": "plain",
    "published": "sib",
    "calibrated": "calibrated, unmeasured",
    "measuring": "calibrated, measured",
}


@dataclass(frozen=True)
class Options:
    """Count the tensors of training steps on a CPU."""

    architectures: tuple[str, ...] = ARCHITECTURES
    """Names of architectures."""
    side: int = 224
    """Side of the square images."""
    batch: int = 4
    """Images in a step."""
    batch_norm: tuple[str, ...] = ("train", "frozen")
    """train, frozen, or both; networks without batch norm are counted once."""
    largest: int = 0
    """Kinds of operations to print whose tensors take most of each peak."""
    out: Path | None = None
    """JSON file to write, after each network."""


class Allocation(NamedTuple):
    """Memory that was taken (bytes > 0) or given back."""

    time: int
    address: int
    bytes: int
    path: tuple[str, ...]
    """The operations that it happened in, the outermost first."""


def main(options: Options) -> None:
    """Print a table and write the JSON file."""
    console, rows = Console(width=120), []
    table = Table(title="tensors at the peak of a step, relative to the plain step")
    for heading in ("architecture", "batch norm", "plain, MB", *list(STEPS)[1:]):
        table.add_column(heading)
    for setting in settings(options):
        problem = Problem.make(setting, torch.device("cpu"))
        if setting.frozen and not batch_norms(problem.model):
            continue
        steps = make_steps(problem, tuple(STEPS.values()))
        peaks = {name: peak(problem, steps[mode]) for name, mode in STEPS.items()}
        found = {name: sum(each.bytes for each in live) for name, live in peaks.items()}
        ratios = [f"{found[name] / found['plain']:.2f}" for name in list(STEPS)[1:]]
        kind = "frozen" if setting.frozen else "train" if batch_norms(problem.model) else "–"
        table.add_row(setting.architecture, kind, f"{found['plain'] / 1e6:.0f}", *ratios)
        sources = {name: by_operation(live) for name, live in peaks.items()}
        for name, each in sources.items() if options.largest else ():
            console.print(
                setting.architecture, kind, name, dict(list(each.items())[: options.largest])
            )
        rows.append({**asdict(setting), "batch_norm": kind, "bytes": found, "sources": sources})
        if options.out is not None:
            save(options.out, {"machine": machine(torch.device("cpu")), "rows": rows})
    console.print(table)


def settings(options: Options) -> Iterator[Setting]:
    """All that is counted."""
    for name in options.architectures:
        for mode in options.batch_norm:
            yield Setting(name, options.side, options.batch, frozen=mode == "frozen")


def peak(problem: Problem, run: Callable[[], object]) -> list[Allocation]:
    """What a step holds when it holds most."""
    run()  # the first step of a kind may differ
    problem.forget()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        run()
    live: dict[int, Allocation] = {}
    held = most = 0
    largest: list[Allocation] = []
    for each in sorted(_allocations(record), key=lambda each: each.time):
        if each.bytes > 0:
            live[each.address] = each
            held += each.bytes
        elif each.address in live:
            held -= live.pop(each.address).bytes
        if held > most:
            most, largest = held, list(live.values())
    return largest


def by_operation(live: list[Allocation]) -> dict[str, int]:
    """Bytes by the operation that took them, the most first."""
    found: dict[str, int] = defaultdict(int)
    for each in live:
        backward = any(name.startswith("autograd::engine") for name in each.path)
        names = [name for name in each.path if name.startswith(("aten::", "_"))]
        found[f"{'backward' if backward else 'forward'} {names[0] if names else 'other'}"] += (
            each.bytes
        )
    return dict(sorted(found.items(), key=lambda pair: -pair[1]))


def _allocations(record: Any) -> Iterator[Allocation]:
    waiting = [(event, ()) for event in record.profiler.kineto_results.experimental_event_tree()]
    while waiting:
        event, path = waiting.pop()
        if event.name == "[memory]":
            fields = event.extra_fields
            yield Allocation(event.start_time_ns, fields.ptr, fields.alloc_size, path)
        waiting += [(child, (*path, event.name)) for child in event.children]


if __name__ == "__main__":
    main(tyro.cli(Options))
