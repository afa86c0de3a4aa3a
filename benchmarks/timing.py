"""Interleaved timing: every variant once per round, so that a noisy machine is noisy for all."""

import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from sib.utils.device import synchronize


def interleave(
    variants: dict[str, Callable[[], object]], rounds: int, device: torch.device
) -> dict[str, dict[str, float]]:
    """Median seconds and peak memory of each variant, after one round that is not counted.

    Processor seconds do not count the time in which another process had the core.
    """
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    work: dict[str, list[float]] = {name: [] for name in variants}
    memory: dict[str, int] = {}
    for counted in range(rounds + 1):
        for name, run in variants.items():
            if device.type == "cuda":
                torch.cuda.reset_peak_memory_stats(device)
            synchronize(device)
            start, start_work = time.perf_counter(), time.process_time()
            run()
            synchronize(device)
            if counted:
                seconds[name].append(time.perf_counter() - start)
                work[name].append(time.process_time() - start_work)
            if device.type == "cuda":
                memory[name] = torch.cuda.max_memory_allocated(device)
    return {
        name: {
            "seconds": statistics.median(each),
            "fastest": min(each),
            "slowest": max(each),
            "processor_seconds": statistics.median(work[name]),
            **({"memory_bytes": memory[name]} if name in memory else {}),
        }
        for name, each in seconds.items()
    }


def added_memory(run: Callable[[], object], device: torch.device) -> int:
    """Bytes by which a run passes what the process, or on CUDA the allocator, held before it."""
    if device.type == "cuda":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        run()
        return torch.cuda.max_memory_allocated(device) - before
    Path("/proc/self/clear_refs").write_text("5")  # Linux: the peak starts anew
    before = _resident("VmRSS")
    run()
    return _resident("VmHWM") - before


def _resident(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def machine(device: torch.device) -> dict[str, Any]:
    """What a figure depends on."""
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else _processor(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def save(path: Path, result: dict[str, Any]) -> None:
    """Write the JSON file of a benchmark."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
