"""Images a second of two processes that share their gradients, over those of one.

python benchmarks/ddp.py [--out benchmarks/results/ddp-cpu.json]

Steps of one process alone and of both take turns, so that a noisy machine is noisy for all. Each
process computes on one core, so that two need two idle ones.
"""

import os
import socket
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import tyro
from rich.console import Console
from timing import machine, save
from torch.nn.parallel import DistributedDataParallel

import sib
from sib.models import build

SCOPES = ("local", "global")


@dataclass(frozen=True)
class Options:
    """Time steps of one and of two processes."""

    architecture: str = "resnet18"
    """Its name."""
    side: int = 112
    """Side of the square images."""
    batch: int = 16
    """Images in a step of one process."""
    rounds: int = 5
    """Counted rounds."""
    out: Path | None = None
    """JSON file to write."""


def main(options: Options) -> None:
    """Print one line and write the JSON file."""
    with socket.socket() as free, tempfile.TemporaryDirectory() as folder:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        mp.spawn(_work, args=(port, options, folder), nprocs=2)
        seconds: dict[str, list[float]] = torch.load(f"{folder}/seconds.pt", weights_only=True)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    ratios = {scope: 2 * medians["alone"] / medians[scope] for scope in SCOPES}
    for scope, ratio in ratios.items():
        Console(width=100).print(f"HSIC {scope}: {ratio:.2f} times the images a second of one")
    if options.out is not None:
        result: dict[str, Any] = {"machine": machine(torch.device("cpu"))}
        result |= {"architecture": options.architecture, "side": options.side}
        result |= {"batch": options.batch, "seconds": seconds, "speed_over_one": ratios}
        result["load_before"] = os.getloadavg()[0]
        save(options.out, result)


def _work(rank: int, port: int, options: Options, folder: str) -> None:
    torch.set_num_threads(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    dist.init_process_group("gloo", rank=rank, world_size=2)
    torch.manual_seed(0)
    model = build(options.architecture, 100, options.side)
    images = torch.randn(options.batch, 3, options.side, options.side)
    labels = torch.randint(100, (options.batch,))
    alone = sib.SpatialIBTask(model, validate=False)
    tasks: dict[str, torch.nn.Module] = {"alone": alone}
    for scope in SCOPES:
        task = sib.SpatialIBTask(model, sib.SpatialIB(hsic_scope=scope), validate=False)
        tasks[scope] = DistributedDataParallel(task)
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for counted in range(options.rounds + 1):
        for name, task in tasks.items():
            dist.barrier()
            start = time.perf_counter()
            if rank == 0 or name != "alone":
                alone.zero_grad()
                alone.backward(task(images, labels).loss)
            dist.barrier()
            if counted:
                seconds[name].append(time.perf_counter() - start)
    if rank == 0:
        torch.save(seconds, f"{folder}/seconds.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(tyro.cli(Options))
