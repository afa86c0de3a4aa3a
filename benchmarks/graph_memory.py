"""Memory that the graphs of a run keep: python benchmarks/graph_memory.py --out FILE

A CUDA GPU only. Each kind of step starts with a new model and an empty allocator. The figure is
what the allocator has reserved after the step's first calls, minus what it has reserved for the
model and the batch. That of an ordinary step is its peak; a graph keeps its memory between steps.
"""

from pathlib import Path

import torch
import tyro
from timing import free_memory, machine, save
from training_steps import Problem, Setting, make_steps

CALLS = 4
MODES = {
    "plain": ("plain",),
    "plain graph": ("plain graph",),
    "calibrated": ("calibrated, measured", "calibrated, unmeasured"),
    "calibrated graph": ("calibrated graph, measured", "calibrated graph, unmeasured"),
}


def main(
    architectures: tuple[str, ...] = ("resnet18", "resnet50", "timm/tf_efficientnet_lite0"),
    batch: int = 64,
    side: int = 224,
    out: Path | None = None,
) -> None:
    """Print a line for each network, and write a JSON file.

    Args:
        architectures: names as `sib train --arch` takes them.
        batch: images in a step.
        side: of an image, in pixels.
        out: the file; without it nothing is written.
    """
    device = torch.device("cuda")
    rows = []
    for name in architectures:
        setting = Setting(name, side, batch)
        found = {mode: reserved(setting, kinds, device) for mode, kinds in MODES.items()}
        rows.append({"architecture": name, "batch": batch, "side": side, "reserved_bytes": found})
        print(name, ", ".join(f"{mode} {size / 2**30:.2f} GiB" for mode, size in found.items()))
        if out is not None:
            save(out, {"machine": machine(device), "rows": rows})


def reserved(setting: Setting, kinds: tuple[str, ...], device: torch.device) -> int:
    """Bytes that the allocator keeps for these kinds of steps."""
    free_memory(device)
    problem = Problem.make(setting, device)
    before = torch.cuda.memory_reserved(device)
    steps = make_steps(problem, kinds)
    for _ in range(CALLS):
        for step in steps.values():
            step()
    torch.cuda.synchronize(device)
    return torch.cuda.memory_reserved(device) - before


if __name__ == "__main__":
    tyro.cli(main)
