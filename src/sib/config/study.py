"""The options of ``sib study``."""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Literal

import tyro

from sib.utils.errors import InputError


@dataclass(frozen=True)
class SlurmConfig:
    """What each job of --launcher submitit asks the cluster for; its defaults where not given."""

    partition: str | None = None
    """Partition to submit to."""
    account: str | None = None
    """Account that is charged."""
    time: int = 24 * 60
    """Minutes after which a job is ended; it is then reported as failed, and the same command
    continues it from its last saved step."""
    gpus: int | None = None
    """GPUs of a job."""
    cpus: int | None = None
    """CPU cores of a job."""
    memory: int | None = None
    """Memory of a job in GB."""
    cluster: Literal["slurm", "local"] = "slurm"
    """local runs the jobs on this machine, to try the options without a cluster."""


@dataclass(frozen=True)
class StudyConfig:
    """Train settings under several seeds, choose on validation, and report them on test.

    The file names the data, the settings and the seeds; docs/study.md explains it. After any stop
    the same command continues, and finished runs are not repeated.
    """

    file: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")]
    """YAML file that describes the study."""
    parallel: int | None = None
    """Runs at a time, also on one GPU; where neither this nor the file says, as many as there are
    GPUs, or else CPU cores."""
    launcher: Literal["local", "submitit"] = "local"
    """local: processes on this machine. submitit: jobs of a Slurm cluster, one for each run, which
    needs pip install "sib[cluster]" and a folder that all nodes see; --parallel is then the most
    jobs at a time, all where not given. Ctrl-C asks running jobs to save and stop, cancels those
    that wait, and the same command continues."""
    slurm: SlurmConfig = field(default_factory=SlurmConfig)
    dry_run: bool = False
    """List the runs and what is done of them, and stop."""
    finished: bool = False
    """Report the runs that are finished, and start none; also while the study runs. Needs no
    images."""
    pack: bool = False
    """At the end, pack the records of all runs that have ended, without weights, into one file
    beside the study's folder, OUT.tar.xz; a study continues from it."""

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
            raise InputError("--dry-run and --finished exclude one another")
        if self.dry_run and self.pack:
            raise InputError("--dry-run and --pack exclude one another")
