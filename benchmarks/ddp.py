"""Two processes that share their gradients, against one: images a second, and work an image.

python benchmarks/ddp.py [--out benchmarks/results/ddp-cpu.json]

Steps of one process alone and of both take turns, so that a noisy machine is noisy for all. Each
process computes on one core, so the speed needs two idle ones to mean anything; processor seconds
do not depend on that.
"""

import os
import socket
import statistics
import tempfile
import time
from collections import defaultdict
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
    speed = {scope: 2 * medians["alone"] / medians[scope] for scope in SCOPES}
    work = {scope: medians[f"{scope} work"] / medians["alone work"] for scope in SCOPES}
    for scope in SCOPES:
        Console(width=100).print(
            f"HSIC {scope}: {speed[scope]:.2f} times the images a second of one, "
            f"{work[scope]:.2f} times the processor seconds an image"
        )
    if options.out is not None:
        result: dict[str, Any] = {"machine": machine(torch.device("cpu"))}
        result |= {"architecture": options.architecture, "side": options.side}
        result |= {"batch": options.batch, "seconds": seconds}
        result |= {"speed_over_one": speed, "work_over_one": work}
        result["load_before"] = os.getloadavg()[0]
        save(options.out, result)


def _work(rank: int, port: int, options: Options, folder: str) -> None:
    torch.set_num_threads(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    dist.init_process_group("gloo", rank=rank, world_size=2)
    torch.manual_seed(0)
    images = torch.randn(options.batch, 3, options.side, options.side)
    labels = torch.randint(100, (options.batch,))
    tasks = {name: _task(name, options) for name in ("alone", *SCOPES)}
    seconds: dict[str, list[float]] = defaultdict(list)
    for counted in range(options.rounds + 1):
        for name, (task, wrapped) in tasks.items():
            dist.barrier()
            start, work = time.perf_counter(), time.process_time()
            if rank == 0 or name != "alone":
                task.zero_grad()
                task.backward(wrapped(images, labels).loss)
            work = time.process_time() - work
            dist.barrier()
            if counted:
                seconds[name].append(time.perf_counter() - start)
                seconds[f"{name} work"].append(work)
    if rank == 0:
        torch.save(dict(seconds), f"{folder}/seconds.pt")
    dist.destroy_process_group()


def _task(name: str, options: Options) -> tuple[sib.SpatialIBTask, torch.nn.Module]:
    """The task, and what is called in its place."""
    model = build(options.architecture, 100, options.side)
    objective = sib.SpatialIB(hsic_scope="local" if name == "alone" else name)
    task = sib.SpatialIBTask(model, objective, validate=False)
    return task, task if name == "alone" else DistributedDataParallel(task)


if __name__ == "__main__":
    main(tyro.cli(Options))
