"""The options of ``sib compare`` and ``sib report``, which take several runs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from sib.config.checks import check_at_least_one, check_distinct, check_methods, check_metrics
from sib.config.classifier import Runs
from sib.explain.built_in import BUILT_IN as EXPLANATIONS
from sib.utils.errors import InputError

IN_GALLERY = tuple(method.name for method in EXPLANATIONS if method.in_gallery)
"""The explanation methods of this package that pages and trackers show by default."""


@dataclass(frozen=True)
class CompareConfig:
    """Measure by how much, and how surely, runs differ on the same images.

    Runs that differ only in their seed form a group. Every group is compared with the group of the
    first run. Runs that were not evaluated yet are evaluated first.
    """

    runs: Runs
    """Run folders, two or more."""
    metrics: tuple[str, ...] = ()
    """Metrics to compare, by name. Default: those that every run has."""
    out: Path = Path("comparison")
    """Folder for comparison.json and scatter.png."""
    resamples: int = 2000
    """Bootstrap replicates for the intervals, at least 100. More are slower and vary less with
    chance."""
    data: str | None = None
    """Data set or folder, for runs that are evaluated first. Default: each run's own."""
    device: str = "auto"
    """Where to evaluate: auto (a GPU if there is one), cpu, cuda, cuda:N or mps."""
    trust_code: bool = False
    """Allow importing MODULE if the architecture is your own MODULE:FUNCTION; that runs its
    code."""

    def __post_init__(self) -> None:
        """Raise InputError where a value is not allowed."""
        check_metrics(self.metrics)
        if len(self.runs) < 2:
            raise InputError(f"sib compare needs at least two runs; got {len(self.runs)}")
        check_distinct(self.runs)
        if self.resamples < 100:
            raise InputError(f"--resamples must be at least 100; got {self.resamples}")


@dataclass(frozen=True)
class ReportConfig:
    """Write one self-contained HTML page about runs: figures, images and how to repeat the runs.

    Runs that were not evaluated yet are evaluated first.
    """

    runs: Runs
    """Run folders, one or more."""
    out: Path = Path("report.html")
    """HTML file to write."""
    images: int = 12
    """Images in the gallery, 1 to 200. More make the page larger."""
    gallery_runs: int | None = None
    """Most runs in the galleries, at least 1, taken from each group in turn. Lower it if there are
    many. Default: all."""
    methods: Annotated[
        tuple[str, ...],
        tyro.conf.arg(
            help="Explanation methods in the gallery, by name.",
            help_behavior_hint=f"(default: {' '.join(IN_GALLERY)}, and those that other packages "
            "add to them)",
        ),
    ] = ()
    """Explanation methods in the gallery, by name. Default: `sib.explain.gallery_methods`."""
    data: str | None = None
    """Folder that holds the images now. Default: where the run found them."""
    layer: str | None = None
    """Module, such as layer3, whose output class activation maps are computed from. Default: each
    run's own layer, or else the architecture's last stage."""
    device: str = "auto"
    """Where to compute: auto (a GPU if there is one), cpu, cuda, cuda:N or mps."""
    trust_code: bool = False
    """Allow importing MODULE if the architecture is your own MODULE:FUNCTION; that runs its
    code."""

    def __post_init__(self) -> None:
        """Raise InputError where a value is not allowed."""
        check_methods(self.methods)
        if not self.runs:
            raise InputError("sib report needs at least one run")
        check_distinct(self.runs)
        if not 1 <= self.images <= 200:
            raise InputError(f"--images must be from 1 to 200; got {self.images}")
        check_at_least_one("gallery-runs", self.gallery_runs)
