"""Runs commands in separate processes, several at a time, and stops them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from sib.study.joined import Command, split
from sib.utils.signals import Interrupt, Stopped

SIB = (sys.executable, "-m", "sib")
PAUSE = 0.05
"""Seconds between two checks of the processes."""


@dataclass
class Job:
    """Processes of one run, one after the other.

    Args:
        name: name of the run.
        log: file to which the output is appended.
        next_command: returns the next command; None if nothing is left.
    """

    name: str
    log: Path
    next_command: Callable[[], Command | None]
    failure: str | None = None
    """Why it failed, in a sentence."""


@dataclass
class Slot:
    """A place for one process at a time."""

    environment: dict[str, str]
    job: Job | None = None
    process: Any = None
    """A Popen, or an object with its methods poll, send_signal and wait."""
    done: list[Command] = field(default_factory=list)


class Pool:
    """Works through jobs in as many processes as there are places.

    Each process leads a group of its own, so that Ctrl-C on a terminal reaches it only through
    `_stop`, once.

    Args:
        places: an environment for each process at a time.
        report: called when a job starts or ends, with the running names and the job that ended.
        prefix: beginning of every command.
    """

    def __init__(
        self,
        places: Sequence[dict[str, str]],
        report: Callable[[list[str], Job | None], None],
        prefix: Command = SIB,
    ) -> None:
        self.slots = [Slot(environment) for environment in places]
        self.report, self.prefix = report, tuple(prefix)
        self.interrupt = Interrupt()

    def work(self, jobs: Sequence[Job]) -> None:
        """Do all jobs. `Job.failure` says why one failed, and the others continue.

        Raises:
            Stopped: SIGINT or SIGTERM came; the processes were asked to stop, and have ended.
        """
        waiting = list(jobs)
        try:
            with self.interrupt.listening():
                while self.interrupt.number is None and (waiting or self._busy()):
                    for slot in self.slots:
                        self._advance(slot, waiting)
                    time.sleep(PAUSE)
                if self.interrupt.number is not None:
                    self._stop()
                    raise Stopped(self.interrupt.number, "stopped")
        finally:
            for slot in self._busy():  # after a second signal, or an error of our own
                self._end_at_once(slot.process)

    def _busy(self) -> list[Slot]:
        return [slot for slot in self.slots if slot.process is not None]

    def _advance(self, slot: Slot, waiting: list[Job]) -> None:
        """If the slot's process has ended, start what comes next."""
        if slot.process is not None:
            code = slot.process.poll()
            if code is None:
                return
            slot.process = None
            if code != 0 and slot.job is not None:
                slot.job.failure = _reason(slot.job, code)
        while slot.process is None and (slot.job is not None or waiting):
            if slot.job is None:
                slot.job, slot.done = waiting.pop(0), []
                self._notify(None)
            self._start_or_end(slot)

    def _start_or_end(self, slot: Slot) -> None:
        job = slot.job
        assert job is not None
        command = None if job.failure else self._next(job, slot.done)
        if command is not None:
            slot.done.append(command)
            try:
                _write_head(command, job.log)
                slot.process = self._start(command, job.log, slot.environment)
                return
            except OSError as error:
                job.failure = f"{job.name}: cannot be started ({job.log}): {error.strerror}"
        slot.job = None
        self._notify(job)

    def _next(self, job: Job, done: list[Command]) -> Command | None:
        try:
            command = job.next_command()
        except ValueError as error:  # InputError: the last command's output cannot be read
            job.failure = f"{job.name}: {error}"
            return None
        if command in done:
            job.failure = f"{job.name}: sib {command[0]} succeeded but left no result"
            return None
        return command

    def _start(self, command: Command, log: Path, environment: dict[str, str]) -> Any:
        with open(log, "a", encoding="utf-8") as file:
            return subprocess.Popen(
                [*self.prefix, *command],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=os.environ | environment,
                start_new_session=True,
            )

    def _end_at_once(self, process: Any) -> None:
        _kill(process)

    def _notify(self, ended: Job | None) -> None:
        self.report([slot.job.name for slot in self.slots if slot.job is not None], ended)

    def _stop(self) -> None:
        """Ask every process to save and stop, and wait until all have."""
        for slot in self._busy():
            assert slot.process is not None
            slot.process.send_signal(signal.SIGTERM)
        for slot in self._busy():
            assert slot.process is not None
            slot.process.wait()
            slot.process = None


def _write_head(command: Command, log: Path) -> None:
    """Write the command into its log."""
    first, *_ = split(command)  # the process names the others itself
    with open(log, "a", encoding="utf-8") as file:
        file.write(f"$ sib {' '.join(first)}\n")


def places(parallel: int | None, device: str) -> list[dict[str, str]]:
    """The environment of each concurrent process: its share of the cores, and its GPU.

    If there are more processes than GPUs, several share a GPU, each with its share of the CPU
    cores.

    Args:
        parallel: number of processes; None for the number of GPUs, or else of cores.
        device: auto, cpu, cuda or mps.
    """
    cores, gpus = available_cores(), available_gpus() if device in ("auto", "cuda") else []
    count = parallel or len(gpus) or cores
    threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, cores // count))
    return [
        {"OMP_NUM_THREADS": threads}
        | ({"CUDA_VISIBLE_DEVICES": gpus[index % len(gpus)]} if gpus else {})
        for index in range(count)
    ]


def available_cores() -> int:
    """Number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def available_gpus() -> list[str]:
    """Names of the GPUs, as in CUDA_VISIBLE_DEVICES."""
    count = torch.cuda.device_count()
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = given.split(",") if given else [str(index) for index in range(count)]
    return [name.strip() for name in names][:count]


def _reason(job: Job, code: int) -> str:
    """How a process ended, and the last line of its log."""
    lines = job.log.read_text(encoding="utf-8", errors="replace").splitlines()
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    end = f"ended by signal {-code}" if code < 0 else f"ended with code {code}"
    if not last or last.startswith("$ sib "):
        return f"{job.name}: {end} ({job.log})"
    if code < 0:
        return f"{job.name}: {end}, after {last!r} ({job.log})"
    return f"{job.name}: {last.removeprefix('sib: ')} ({job.log})"


def _kill(process: subprocess.Popen[bytes] | None) -> None:
    """Kill a process and those that read images for it."""
    if process is not None and process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
