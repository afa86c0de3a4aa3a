"""Commands as jobs of a Slurm cluster, which submitit submits and watches."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sib.config.study import SlurmConfig
from sib.study.joined import Command
from sib.study.pool import SIB, Job, Pool
from sib.utils.errors import InputError
from sib.utils.optional import import_optional

PAUSE = 0.2
"""Seconds between two checks for the file that asks a job to stop."""
STOP = "stop"


class ClusterPool(Pool):
    """Works through jobs as `Pool` does, with each command as a cluster job.

    This machine and the nodes of the cluster must both see the folder. A signal asks the running
    jobs to save and stop, by a file in that folder, and cancels waiting ones.

    Args:
        config: what each job requests.
        folder: folder for submitit's own files.
        count: jobs at a time.
        report: as in `Pool`.
        prefix: beginning of every command.

    Raises:
        InputError: submitit or Slurm is missing.
    """

    def __init__(
        self,
        config: SlurmConfig,
        folder: Path,
        count: int,
        report: Callable[[list[str], Job | None], None],
        prefix: Command = SIB,
    ) -> None:
        super().__init__([{} for _ in range(count)], report, prefix)
        self._folder = folder
        self._executor = make_executor(config, folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / STOP).unlink(missing_ok=True)

    def _start(self, command: Command, log: Path, environment: dict[str, str]) -> Any:
        stop = str((self._folder / STOP).resolve())
        arguments = [*self.prefix, *command]
        return ClusterJob(
            self._executor.submit(run_command, arguments, str(log.resolve()), os.getcwd(), stop),
            log,
            stop,
        )

    def _end_at_once(self, process: Any) -> None:
        process.submitted.cancel()


class ClusterJob:
    """A submitted command, with the methods of a process that a pool uses."""

    def __init__(self, submitted: Any, log: Path, stop: str) -> None:
        self.submitted, self._log, self._stop = submitted, log, Path(stop)

    def poll(self) -> int | None:
        """The exit code; None while the job waits or runs."""
        if not self.submitted.done():
            return None
        try:
            return int(self.submitted.result())
        except Exception as error:  # the scheduler's: cancelled, out of time, node lost
            lines = str(error).strip().splitlines() or [type(error).__name__]
            with open(self._log, "a", encoding="utf-8") as file:
                file.write(f"job {self.submitted.job_id} did not finish: {lines[0]}\n")
            return 1

    def send_signal(self, number: int) -> None:
        """Ask the job to save and stop; cancel it if it does not run yet."""
        self._stop.touch()
        if str(self.submitted.state).upper() == "PENDING":
            self.submitted.cancel()

    def wait(self) -> int:
        """Wait until the job has ended, and return its exit code."""
        while (code := self.poll()) is None:
            time.sleep(PAUSE)
        return code


def make_executor(config: SlurmConfig, folder: Path) -> Any:
    """The executor that submits jobs with the options of a study.

    Raises:
        InputError: submitit or Slurm is missing.
    """
    submitit = import_optional("submitit", "cluster")
    try:
        executor = submitit.AutoExecutor(folder=folder, cluster=config.cluster)
    except RuntimeError as error:
        raise InputError(
            f"--launcher submitit: {' '.join(str(error).split())}; run sib study where sbatch is, "
            "or try it here with --slurm.cluster local"
        ) from None
    executor.update_parameters(**_parameters(config))
    return executor


def _parameters(config: SlurmConfig) -> Mapping[str, Any]:
    """The given options, by submitit's names."""
    named: dict[str, Any] = {
        "name": "sib",
        "timeout_min": config.time,
        "gpus_per_node": config.gpus,
        "cpus_per_task": config.cpus,
        "mem_gb": config.memory,
        "slurm_partition": config.partition,
        "slurm_account": config.account,
    }
    return {name: value for name, value in named.items() if value is not None}


def run_command(arguments: list[str], log: str, folder: str, stop: str) -> int:
    """Run a command on a node, and end it when the file that asks for it appears.

    Args:
        arguments: arguments of the process; the first is replaced by the interpreter of the
            node's job.
        log: file to which the output is appended.
        folder: working folder.
        stop: name of the file that asks the command to stop.

    Returns:
        The exit code, negative for a signal.
    """
    with open(log, "a", encoding="utf-8") as file:
        process = subprocess.Popen(
            [sys.executable, *arguments[1:]],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=folder,
        )
        try:
            while process.poll() is None:
                if Path(stop).exists():
                    process.send_signal(signal.SIGTERM)
                    return process.wait()
                time.sleep(PAUSE)
            return process.returncode
        finally:
            if process.poll() is None:  # the job itself was ended
                process.terminate()
                process.wait()
