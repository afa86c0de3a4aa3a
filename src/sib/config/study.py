"""The options of ``sib study``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from sib.utils.errors import InputError


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
        if self.dry_run and self.finished:
            raise InputError("--dry-run and --finished exclude one another")
        if self.dry_run and self.pack:
            raise InputError("--dry-run and --pack exclude one another")
