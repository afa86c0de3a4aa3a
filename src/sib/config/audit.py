"""The options of ``sib audit``. It does not import torch, so that its help is quick."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from sib.config.checks import check_at_least_one, check_distinct
from sib.config.classifier import NamedClassifierConfig, Runs
from sib.utils.errors import InputError

Kind = Literal[
    "exchanged",
    "same_class",
    "blurred",
    "greyed",
    "noised",
    "object_alone",
    "background_alone",
]
Fill = Literal["surroundings", "diffusion", "tiled"]
KINDS: tuple[Kind, ...] = get_args(Kind)
FILLS: tuple[Fill, ...] = get_args(Fill)
FILLED: tuple[Kind, ...] = ("exchanged", "same_class", "background_alone")
"""Conditions that take the object out of an image, once for each way to fill its place."""


@dataclass(frozen=True)
class AuditConfig(NamedClassifierConfig):
    """Test whether a classifier uses the object: change the background and watch its decisions.

    With several labels an image, the decision about each label is watched, and each label has its
    own objects where the annotation names their classes.

    Writes audit.json and audit.csv (one line per image) into the run folder, and compares the runs
    if several are given. If no image has a foreground, they are found by the network that a run
    started from, and the audit says so.
    """

    runs: Runs
    """Run folders of sib train, or files of weights (.safetensors, .pt, .pth), which need --data
    and usually --arch. If both are given, --arch, --normalization and --classes are those of the
    files."""
    data: str | None = None
    """Data set or folder. Default: the run's own."""
    root: Path | None = None
    """Folder that holds the published data sets. Default: the run's own."""
    masks: str | None = None
    """Folder of foreground masks, named like the images. Default: the run's own."""
    on_bad_image: Literal["error", "skip"] = "error"
    """What to do about an image that cannot be read. error: stop. skip: leave it out, count it and
    list it."""
    annotations: Path | None = None
    """Boxes or masks from an annotation tool, as in sib train --input.annotations. Default: the
    run's own."""
    labels: Path | None = None
    """CSV file with several labels for each image, as in sib train --labels. Default: the run's
    own."""
    conditions: tuple[Kind, ...] = KINDS
    """How backgrounds are changed. exchanged, same_class: for that of an image of another class, or
    of the same one (without or with the label). blurred, greyed, noised: the image's own, changed.
    object_alone: to the mean colour. background_alone: the object is taken out."""
    fills: tuple[Fill, ...] = FILLS
    """How the place of a removed object is filled. surroundings: the mean around it. diffusion: the
    colours of its outline spread inwards. tiled: copies of the largest strip beside it."""
    groups: Path | None = None
    """CSV file with the columns image and group, for the accuracy of the worst group. Default:
    groups.csv in the folder of the data, if it exists."""
    page: Path | None = None
    """HTML page to write as well, for people who decide whether to use the classifier."""
    split: Literal["test", "validation", "train"] = "test"
    """Images to audit. Choose settings on validation, and audit test once."""
    limit: int | None = None
    """Most images to audit, at least 1, spread evenly over the split and always the same. Set it
    for a quick look. Default: all."""
    donors: int = 100
    """Most images that lend their background, at least 2. They are kept in memory, so lower it for
    large images."""
    noise: float = 1.0
    """Strength of the noise in noised backgrounds: its standard deviation as a multiple of the
    image's own, above 0."""
    seed: int = 0
    """Seed that chooses the donors and draws the noise, at least 0."""
    resamples: int = 2000
    """Bootstrap replicates for the intervals, at least 100. More are slower and vary less with
    chance."""
    out: Path | None = None
    """Folder to write into, for a single run. Default: the run folder, or NAME-evaluation beside a
    file of weights."""
    batch_size: int = 32
    """Images in one pass, at least 1. Lower it if memory runs out."""
    workers: int = 0
    """Processes that read images; 0 reads in the main process. Raise it if reading is slower than
    computing."""

    def __post_init__(self) -> None:
        """Raise InputError where a value is not allowed."""
        super().__post_init__()
        if not self.runs:
            raise InputError("sib audit needs at least one run folder or file of weights")
        check_distinct(self.runs)
        if self.out is not None and len(self.runs) > 1:
            raise InputError(f"--out is for a single run; got {len(self.runs)} runs")
        for option, names in (("conditions", self.conditions), ("fills", self.fills)):
            if not names:
                raise InputError(f"--{option} needs at least one name")
            if len(set(names)) < len(names):
                raise InputError(f"--{option} has a duplicate: {' '.join(names)}")
        check_at_least_one("limit", self.limit)
        check_at_least_one("batch-size", self.batch_size)
        if self.donors < 2:
            raise InputError(f"--donors must be at least 2; got {self.donors}")
        if not 0 < self.noise < float("inf"):
            raise InputError(f"--noise must be above 0; got {self.noise}")
        if self.seed < 0:
            raise InputError(f"--seed must be at least 0; got {self.seed}")
        if self.resamples < 100:
            raise InputError(f"--resamples must be at least 100; got {self.resamples}")

    @property
    def condition_names(self) -> list[str]:
        """Names of `sib.metrics.behaviour.CONDITIONS`, in their order."""
        return [
            name
            for kind in KINDS
            if kind in self.conditions
            for name in ([f"{kind}_{f}" for f in FILLS if f in self.fills] * (kind in FILLED))
            or ([kind] * (kind not in FILLED))
        ]
