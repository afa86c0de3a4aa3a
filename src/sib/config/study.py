"""The options of ``sib study``."""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Literal

import tyro

from sib.utils.errors import InputError


@dataclass(frozen=True)
class SlurmConfig:
    """What each job of --launcher submitit requests."""

    partition: str | None = None
    """Partition to submit to. Default: the cluster's own."""
    account: str | None = None
    """Account to charge. Default: the cluster's own."""
    time: int = 24 * 60
    """Time limit of a job in minutes, at least 1. A job that reaches it is reported as failed; the
    same command then continues it from its last saved step."""
    gpus: int | None = None
    """GPUs per job, at least 0. Default: the cluster's own."""
    cpus: int | None = None
    """CPU cores per job, at least 1. Default: the cluster's own."""
    memory: int | None = None
    """Memory per job in GB, at least 1. Default: the cluster's own."""
    cluster: Literal["slurm", "local"] = "slurm"
    """Where jobs run. local: on this machine, to try the options without a cluster."""


@dataclass(frozen=True)
class StudyConfig:
    """Train settings under several seeds, choose on validation, and report them on test.

    The file names the data, the settings and the seeds; docs/study.md explains it. If the study is
    stopped, the same command continues it, and finished runs are not repeated.
    """

    file: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")]
    """YAML file that describes the study."""
    parallel: int | None = None
    """Runs at a time, at least 1; several may share a GPU. Default: what the file says, or the
    number of GPUs, or else of CPU cores."""
    launcher: Literal["local", "submitit"] = "local"
    """What starts the runs. local: processes on this machine. submitit: Slurm jobs, one per run;
    needs pip install "sib[cluster]" and a folder that all nodes see, and --parallel limits the jobs
    at a time (none by default). Ctrl-C asks running jobs to save and stop, and cancels waiting
    ones; the same command continues."""
    slurm: SlurmConfig = field(default_factory=SlurmConfig)
    dry_run: bool = False
    """List the runs and the state of each, and stop."""
    finished: bool = False
    """Report the runs that are finished, without starting any. Works while the study runs, and
    needs no images."""
    pack: bool = False
    """At the end, pack the records of all ended runs, without weights, into OUT.tar.xz beside the
    study's folder. A study can continue from it."""

    def __post_init__(self) -> None:
        """Raise InputError where a number is out of its range."""
        if self.parallel is not None and self.parallel < 1:
            raise InputError(f"--parallel must be at least 1; got {self.parallel}")
        for name in ("time", "gpus", "cpus", "memory"):
            value = getattr(self.slurm, name)
            if value is not None and value < (0 if name == "gpus" else 1):
                raise InputError(f"--slurm.{name} must be at least 1; got {value}")
        if self.launcher == "local":
            for option in fields(SlurmConfig):
                if getattr(self.slurm, option.name) != option.default:
                    raise InputError(f"--slurm.{option.name} is for --launcher submitit")
        if self.dry_run and self.finished:
            raise InputError("--dry-run and --finished cannot be combined")
        if self.dry_run and self.pack:
            raise InputError("--dry-run and --pack cannot be combined")
