"""One training step: plain, naive S-IB and ours in each mode, interleaved.

python benchmarks/step.py [--sides 128 224] [--out benchmarks/results/step-cpu.json]

A network or a step that fails is recorded with its reason, and the others are timed all the same.
"""

import multiprocessing as mp
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import tyro
from rich.console import Console
from rich.table import Table
from timing import added_memory, free_memory, interleave, machine, one_line, save
from training_steps import PRECISIONS, Problem, Setting, allow_tf32, batch_norms, make_steps

from sib.objectives.calibrated import STEADY_INTERVAL
from sib.utils.device import choose_device
from sib.utils.errors import InputError

ARCHITECTURES = (
    "resnet18",
    "resnet50",
    "densenet121",
    "vit_b_32",
    "efficientnet_b0",
    "timm/tf_efficientnet_lite0",
    "mobilenet_v3_large",
    "convnext_tiny",
    "swin_t",
    "timm/vit_small_patch16_224",
)
MODES = ("plain", "naive", "sib", "calibrated")
BATCH_NORM = ("train", "frozen")
CALIBRATED = ("calibrated", "calibrated quarter", "calibrated graph")
"""Objectives whose steps are of two kinds; their mean over a period is what counts."""
Row = dict[str, Any]


@dataclass(frozen=True)
class Options:
    """Time one training step."""

    architectures: tuple[str, ...] = ARCHITECTURES
    """Names of architectures."""
    sides: tuple[int, ...] = (224,)
    """Sides of the square images."""
    batch: int = 8
    """Images in a step; four times as many at sides up to 64."""
    modes: tuple[str, ...] = MODES
    """Which steps: plain, naive, sib, calibrated (mean over a measuring period), checkpointed;
    "half of the batch" and "calibrated quarter", with terms on a part of it; "plain graph",
    "sib graph" and "calibrated graph", which replay CUDA graphs."""
    batch_norm: tuple[str, ...] = BATCH_NORM
    """train, frozen (running statistics; the weights still train), or both. Networks without batch
    norm are timed once."""
    precision: tuple[str, ...] = ("float32",)
    """float32, tf32, bfloat16 (autocast)."""
    channels_last: bool = False
    """Keep images and weights in the channels-last memory format."""
    cudnn_benchmark: bool = False
    """Let cuDNN try its algorithms for each shape, in the first call."""
    rounds: int = 5
    """Counted rounds."""
    seconds: float = float("inf")
    """No further round of a network starts after this time."""
    memory: bool = True
    """On a CPU, measure added memory, which starts a process for each step; CUDA always does."""
    device: str = "auto"
    """auto, cpu or cuda."""
    out: Path | None = None
    """JSON file to write, after each network."""

    def __post_init__(self) -> None:
        """Raise InputError where a value is not allowed."""
        for name, given, allowed in (
            ("precision", self.precision, PRECISIONS),
            ("batch-norm", self.batch_norm, BATCH_NORM),
        ):
            wrong = [each for each in given if each not in allowed]
            if wrong:
                raise InputError(f"--{name} must be among {', '.join(allowed)}; got {wrong[0]}")


def main(options: Options) -> None:
    """Print a table and write the JSON file."""
    device = choose_device(options.device)
    torch.backends.cudnn.benchmark = options.cudnn_benchmark
    rows: list[Row] = []
    for setting in settings(options):
        row = time_steps(setting, options, device)
        if row is not None:
            rows.append(row)
            if options.out is not None:
                save(
                    options.out,
                    {"machine": machine(device), "every": STEADY_INTERVAL, "rows": rows},
                )
        free_memory(device)
    Console(width=120).print(table(rows))


def settings(options: Options) -> Iterator[Setting]:
    """All that is timed; what matters most comes first."""
    for frozen in (each == "frozen" for each in options.batch_norm):
        for precision in options.precision:
            for side in options.sides:
                batch = options.batch * (4 if side <= 64 else 1)
                for name in options.architectures:
                    yield Setting(
                        name,
                        side,
                        batch,
                        precision,
                        options.channels_last,
                        frozen,
                    )


def time_steps(setting: Setting, options: Options, device: torch.device) -> Row | None:
    """The steps of one network; None for a frozen batch norm where there is none."""
    allow_tf32(setting.precision == "tf32")
    row: Row = asdict(setting)
    try:
        problem = Problem.make(setting, device)
    except Exception as error:  # whatever a network raises: the others are still to be timed
        return {**row, "failed": one_line(error)}
    if not batch_norms(problem.model):
        if setting.frozen and "train" in options.batch_norm:
            return None
        row["frozen"] = None
    found = interleave(
        make_steps(problem, expand(options.modes)),
        options.rounds,
        device,
        repeat_for=0.05 if device.type == "cuda" else 0.0,
        budget=options.seconds,
        reset=problem.forget,
        catch=True,
    )
    if device.type == "cpu" and options.memory:  # one process has one peak, so each gets its own
        for mode, each in found.items():
            if "failed" not in each:
                each["memory_bytes"] = _alone(setting, mode)
    return {**row, "steps": relative(with_mean(found), setting.batch)}


def expand(modes: tuple[str, ...]) -> tuple[str, ...]:
    """The steps to be timed: the calibrated objective has two kinds."""
    found: list[str] = []
    for mode in modes:
        found += (f"{mode}, unmeasured", f"{mode}, measured") if mode in CALIBRATED else (mode,)
    return tuple(dict.fromkeys(found))


def with_mean(found: dict[str, Row]) -> dict[str, Row]:
    """The steps and, where both kinds of calibrated steps were timed, their mean over a period."""
    result = dict(found)
    for mode in CALIBRATED:
        plain, measured = (found.get(f"{mode}, {kind}") for kind in ("unmeasured", "measured"))
        if plain is not None and measured is not None:
            result[mode] = _mean_step(plain, measured)
    return result


def _mean_step(plain: Row, measured: Row) -> Row:
    reasons = [each["failed"] for each in (plain, measured) if "failed" in each]
    if reasons:
        return {"failed": reasons[0]}
    mean = {
        key: (measured[key] + (STEADY_INTERVAL - 1) * plain[key]) / STEADY_INTERVAL
        for key in ("seconds", "fastest", "slowest", "processor_seconds")
    }
    if "memory_bytes" in plain:
        mean["memory_bytes"] = max(plain["memory_bytes"], measured["memory_bytes"])
    return mean


def relative(found: dict[str, Row], batch: int) -> dict[str, Row]:
    """The steps with images a second, and ratios to the plain step where that was timed."""
    plain = found.get("plain", {})
    for each in found.values():
        if "failed" in each:
            continue
        each["images_per_second"] = batch / each["seconds"]
        if "seconds" in plain:
            each["ratio"] = each["seconds"] / plain["seconds"]
        if plain.get("memory_bytes") and "memory_bytes" in each:
            each["memory_ratio"] = each["memory_bytes"] / plain["memory_bytes"]
    return found


def table(rows: list[Row]) -> Table:
    """A line for each network: ratios to the plain step, time over added memory."""
    modes = list(dict.fromkeys(mode for row in rows for mode in row.get("steps", {})))
    heads = [mode for mode in modes if mode != "plain"]
    found = Table(
        "architecture",
        "batch × side",
        "setting",
        "plain, ms",
        *heads,
        title="one step in plain ones: time, and below it the memory it adds",
    )
    notes = []
    for row in rows:
        steps = row.get("steps", {})
        cells = [_cell(steps.get(mode)) for mode in modes if mode != "plain"]
        shape = f"{row['batch']} × {row['side']}²"
        plain = steps.get("plain", {}).get("seconds")
        first = "failed" if plain is None else f"{1e3 * plain:.1f}"
        found.add_row(row["architecture"], shape, describe(row), first, *cells)
        failures = {"": row, **steps}
        notes += [
            f"{row['architecture']}, {describe(row)}, {mode or 'all'}: {each['failed']}"
            for mode, each in failures.items()
            if "failed" in each
        ]
    found.caption = "\n".join(notes) or None
    return found


def describe(row: Row) -> str:
    """Precision, memory format and batch norm, in a few letters."""
    parts = [row["precision"]]
    if row["channels_last"]:
        parts.append("channels last")
    if row["frozen"]:
        parts.append("frozen")
    return " ".join(parts)


def _cell(step: Row | None) -> str:
    if step is None:
        return ""
    if "failed" in step:
        return "failed"
    lines = [f"{step['ratio']:.2f}" if "ratio" in step else f"{1e3 * step['seconds']:.1f} ms"]
    if "memory_ratio" in step:
        lines.append(f"{step['memory_ratio']:.2f}")
    return "\n".join(lines)


def _alone(setting: Setting, mode: str) -> int:
    """Bytes that a step adds to what its process held before it."""
    with mp.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak, (setting, mode, torch.get_num_threads()))


def _peak(setting: Setting, mode: str, threads: int) -> int:
    torch.set_num_threads(threads)
    device = torch.device("cpu")
    problem = Problem.make(setting, device)
    return added_memory(make_steps(problem, (mode,))[mode], device)


if __name__ == "__main__":
    main(tyro.cli(Options))
