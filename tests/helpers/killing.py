"""Killing real training processes at random moments, and comparing where they end.

The processes are forked from one that has imported everything, so that a second is enough for a
start; each runs the command itself.
"""

import hashlib
import json
import os
import random
import signal
import time
from pathlib import Path

from sib.cli.main import main

ARGUMENTS = [
    "train", "--data", "digits", "--arch", "small_resnet", "--image-size", "16", "--epochs", "4",
    "--batch-size", "8", "--workers", "0", "--device", "cpu", "--objective", "published",
    "--objective.window-size", "5", "--objective.projection-dim", "8", "--input.augment", "crop",
    "--input.train-size", "48", "--input.test-size", "20", "--optimizer.learning-rate", "0.01",
]  # fmt: skip


def run_to_the_end(out: Path) -> float:
    """An undisturbed run; its seconds."""
    start = time.monotonic()
    code = _wait(_start(out, []))
    assert code == 0, f"the undisturbed run ended with {code}"
    return time.monotonic() - start


def run_with_kills(out: Path, kills: int, longest: float, seed: int) -> int:
    """Start and resume until the run ends, with SIGKILL after a random time, ``kills`` times.

    Args:
        out: run folder.
        kills: processes to kill while they work.
        longest: most seconds before a kill.
        seed: of the moments.

    Returns:
        Processes killed; fewer than asked for where the run ended before.
    """
    moments = random.Random(seed)
    killed = 0
    while True:
        started = (out / "config.yaml").exists()
        process = _start(out, ["--resume"] if started else [])
        code = _wait(process, moments.uniform(0, longest / 2) if killed < kills else None)
        if code == -signal.SIGKILL:
            killed += 1
            continue
        assert code == 0, f"after {killed} kills a process ended with {code}"
        return killed


def what_it_ends_with(out: Path) -> dict[str, object]:
    """Everything that must not depend on kills: weights, metrics and result, without clocks."""
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        for clock in ("seconds", "images_per_second", "memory_bytes"):
            del line[clock]
    return {
        "metrics": lines,
        "result": json.loads((out / "result.json").read_text()),
        **{
            name: hashlib.sha256((out / f"{name}.safetensors").read_bytes()).hexdigest()
            for name in ("best", "last")
        },
    }


def _start(out: Path, options: list[str]) -> int:
    process = os.fork()
    if process:
        return process
    try:
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(os.open(f"{out}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
        code = main([*ARGUMENTS, "--out", str(out), *options])
    except BaseException:
        code = 70
    os._exit(code)


def _wait(process: int, seconds: float | None = None) -> int:
    """The exit code; the negative signal for a process that was killed after ``seconds``."""
    if seconds is not None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            done, status = os.waitpid(process, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.002)
        os.kill(process, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
