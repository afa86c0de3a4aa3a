"""Interleaved timing: every variant once per round, so that a noisy machine is noisy for all."""

import gc
import json
import math
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from sib.utils.device import synchronize

Variants = dict[str, Callable[[], object]]
MOST_REPEATS = 20


def interleave(
    variants: Variants,
    rounds: int,
    device: torch.device,
    *,
    repeat_for: float = 0.0,
    budget: float = math.inf,
    reset: Callable[[], object] = lambda: None,
    catch: bool = False,
) -> dict[str, dict[str, Any]]:
    """Median seconds and added memory of each variant, after warm-up calls that are not counted.

    Processor seconds do not count the time in which another process had the core.

    Args:
        variants: functions by name.
        rounds: counted rounds, at least 1.
        device: where they compute.
        repeat_for: seconds; within a round, a variant that takes less is called several times.
        budget: seconds; no further round starts after it, but one is always counted.
        reset: called before each measurement, outside the measured time.
        catch: record a variant that raises as ``{"failed": reason}`` instead of raising.

    Returns:
        For each variant: ``seconds`` (median), ``fastest``, ``slowest``, ``processor_seconds``,
        ``first_seconds`` (its first call), ``rounds``, ``repeats``, on CUDA ``memory_bytes``.
    """
    runs = {name: _Run(run, device, reset, catch) for name, run in variants.items()}
    for each in runs.values():
        each.warm_up(repeat_for)
    start = time.perf_counter()
    for number in range(rounds):
        if number and time.perf_counter() - start > budget:
            break
        for each in runs.values():
            each.count()
    return {name: each.result() for name, each in runs.items()}


class _Run:
    """One variant and what was measured of it."""

    def __init__(
        self,
        run: Callable[[], object],
        device: torch.device,
        reset: Callable[[], object],
        catch: bool,
    ) -> None:
        self.run, self.device, self.reset = run, device, reset
        self.caught: tuple[type[Exception], ...] = (Exception,) if catch else ()
        self.failed: str | None = None
        self.repeats, self.first, self.memory = 1, 0.0, 0
        self.seconds: list[float] = []
        self.work: list[float] = []

    def warm_up(self, repeat_for: float) -> None:
        """The first call, which may compile, and a second one that says how often to repeat."""
        self.first = self._measure(1)[0]
        if self.failed is None and repeat_for:
            elapsed = self._measure(1)[0]
            self.repeats = min(MOST_REPEATS, max(1, math.ceil(repeat_for / max(elapsed, 1e-6))))

    def count(self) -> None:
        if self.failed is None:
            seconds, work = self._measure(self.repeats)
            self.seconds.append(seconds / self.repeats)
            self.work.append(work / self.repeats)

    def result(self) -> dict[str, Any]:
        if self.failed is not None:
            return {"failed": self.failed}
        return {
            "seconds": statistics.median(self.seconds),
            "fastest": min(self.seconds),
            "slowest": max(self.seconds),
            "processor_seconds": statistics.median(self.work),
            "first_seconds": self.first,
            "rounds": len(self.seconds),
            "repeats": self.repeats,
            **({"memory_bytes": self.memory} if self.device.type == "cuda" else {}),
        }

    def _measure(self, repeats: int) -> tuple[float, float]:
        """Seconds and processor seconds of some calls in a row."""
        self.reset()
        synchronize(self.device)
        before = _start_peak(self.device)
        start, start_work = time.perf_counter(), time.process_time()
        try:
            for _ in range(repeats):
                self.run()
            synchronize(self.device)
        except self.caught as error:
            self.failed = one_line(error)
        elapsed = time.perf_counter() - start, time.process_time() - start_work
        if self.failed is not None:
            free_memory(self.device)
        elif self.device.type == "cuda":
            self.memory = torch.cuda.max_memory_allocated(self.device) - before
        return elapsed


def one_line(error: BaseException) -> str:
    """The kind of an error and the first line of what it says."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"[:240]


def free_memory(device: torch.device) -> None:
    """Give back what a failed or finished variant held."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _start_peak(device: torch.device) -> int:
    """Bytes that the allocator holds now, on CUDA; its peak is counted from here."""
    if device.type != "cuda":
        return 0
    torch.cuda.reset_peak_memory_stats(device)
    return torch.cuda.memory_allocated(device)


def added_memory(run: Callable[[], object], device: torch.device) -> int:
    """Bytes by which a run passes what the process, or on CUDA the allocator, held before it."""
    if device.type == "cuda":
        before = _start_peak(device)
        run()
        return torch.cuda.max_memory_allocated(device) - before
    Path("/proc/self/clear_refs").write_text("5")  # on Linux this resets the peak
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
