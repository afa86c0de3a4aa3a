"""The configuration of a training run: its options, checked, and what follows from them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sib.config.facts import objective_of, options
from sib.config.fine_tuning import FineTuningConfig
from sib.config.options import (
    InputConfig,
    ObjectiveConfig,
    OptimizerConfig,
    RivalConfig,
    ScheduleConfig,
)
from sib.config.train_checks import check_options
from sib.config.train_options import TrainOptions
from sib.objectives.registry import METHODS, needs_foreground
from sib.utils.image_size import ImageSize, check_size

__all__ = [
    "FineTuningConfig",
    "InputConfig",
    "ObjectiveConfig",
    "OptimizerConfig",
    "RivalConfig",
    "ScheduleConfig",
    "TrainConfig",
]

BESIDE_OBJECTIVES = ("kind", "foreground_layer", "foreground_area")
"""Options of a group of objectives that are not arguments of any of them."""


@dataclass(frozen=True)
class TrainConfig(TrainOptions):
    """Train an image classifier, with S-IB or with plain cross-entropy.

    Options can come from a file, --config FILE.yaml; those on the command line win.
    """

    def __post_init__(self) -> None:
        """Raise InputError where an option is out of its range, or does not fit another."""
        check_options(self, self.known_share)

    @property
    def annotated_share(self) -> float:
        """Share of the annotated training images whose foreground the method uses."""
        default = 1.0 if needs_foreground(self.method) else 0.0
        return default if self.guided_share is None else self.guided_share

    @property
    def objective_options(self) -> dict[str, Any]:
        """The options that belong to the objective of this run, by their names in its class."""
        name = objective_of({"method": self.method, "objective.kind": self.objective.kind})
        group = self.objective if self.method == "sib" else self.rival
        found = {
            known.name: getattr(group, known.name)
            for known in options(type(group))
            if name in known.facts.only_for and known.name not in BESIDE_OBJECTIVES
        }
        if "balance_floor" in found:
            found["balance_floor"] = self.balance_floor
        if name == "calibrated":
            found["stages"] = self.stage_names
        return found

    @property
    def stage_names(self) -> tuple[str, ...] | None:
        """The named finer stages; None where they are found automatically."""
        if self.stages is None:
            return None
        return () if self.stages == "none" else tuple(self.stages.split(","))

    @property
    def known_share(self) -> float:
        """Share of the training images with a foreground whose foreground the method uses."""
        return 1.0 if self.foreground == "pretrained" else self.annotated_share

    @property
    def is_calibrated(self) -> bool:
        """Whether the method is S-IB with the calibrated objective."""
        return self.method == "sib" and self.objective.kind == "calibrated"

    @property
    def balance_floor(self) -> float:
        """Smallest share of its largest norm that the gradient of cross-entropy counts as.

        A network that starts from trained weights soon fits its images, and then cross-entropy's
        gradient fades; see docs/evidence.md.
        """
        if self.method != "sib":
            return self.rival.balance_floor
        given = self.objective.balance_floor
        return (1.0 if self.weights else 0.0) if given is None else given

    @property
    def looks_inside(self) -> bool:
        """Whether the method needs the features of the last stage."""
        if self.method == "sib":
            return self.is_calibrated
        known = METHODS.get(self.method)
        return known is not None and known.needs_layer and self.rival.at == "final"

    @property
    def folder(self) -> Path:
        """The run folder."""
        if self.out is not None:
            return self.out
        data, arch = Path(self.data).name or "data", self.arch.replace("/", "-")
        return Path("runs") / f"{data}-{arch}-{self.method}-{self.seed}"

    @property
    def given_size(self) -> ImageSize | None:
        """Side of the square input, or its height and width, where it was given."""
        return None if self.image_size is None else check_size(self.image_size, "--image-size")

    @property
    def side(self) -> ImageSize:
        """Side of the square input in pixels, or its height and width."""
        return self.given_size or (48 if self.data == "digits" else 224)
