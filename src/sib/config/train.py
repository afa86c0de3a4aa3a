"""What a training run can be told: typed, nested, documented; the command line is made of it."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from sib.config.options import (
    InputConfig,
    ObjectiveConfig,
    OptimizerConfig,
    RivalConfig,
    ScheduleConfig,
)
from sib.utils.errors import InputError


@dataclass(frozen=True)
class TrainConfig:
    """Train an image classifier, with S-IB or with plain cross-entropy.

    Options can come from a file, --config FILE.yaml; those on the command line win.
    """

    recipe: Annotated[tyro.conf.Positional[str | None], tyro.conf.arg(metavar="[RECIPE]")] = None
    """A published recipe, such as cub200/resnet50; sib recipes lists them. It sets data, arch and
    the rest; what else is given wins."""
    data: str = ""
    """digits (built in); or cifar100, cub200, stanford_dogs, imagenet or oxford_pet, below --root;
    or a folder of images: FOLDER/train/CLASS/*.jpg and FOLDER/test/CLASS/*.jpg, or
    FOLDER/CLASS/*.jpg."""
    root: Path = Path("data")
    """Where the published data sets stand; sib data prepare puts them there."""
    out: Path | None = None
    """Run folder; runs/DATA-ARCH-METHOD-SEED where not given."""
    arch: str = "resnet18"
    """Architecture: small_resnet, any torchvision classifier, timm/NAME, or MODULE:FUNCTION of your
    own, called with the number of classes."""
    method: Literal["sib", "ce", "saliency_guided", "rrr", "energy"] = "sib"
    """sib: cross-entropy and the S-IB terms. ce: plain cross-entropy, the baseline. saliency_guided
    (Ismail et al. 2021) needs no annotation either; rrr (right for the right reasons, Ross et al.
    2017) and energy (Rao et al. 2023) need foregrounds."""
    guided_share: float | None = None
    """Share of the annotated training images whose foreground is used, 0 to 1, always the same
    ones; in sib it replaces the found one. 0 for sib and 1 for rrr and energy where not given."""
    background_exchange: float = 0.0
    """Share of the images with a used foreground that are shown before the background of another
    image of their batch, 0 to 1."""
    selection: Literal["validation", "test"] = "validation"
    """Where the best epoch is chosen. validation: on images held out of the training split. test:
    on the test split, the published way; nothing is held out, and the figure is optimistic."""
    image_size: int | None = None
    """Side of the square input in pixels; 48 for digits and 224 for folders where not given."""
    epochs: int = 30
    """Passes over the training images."""
    batch_size: int = 32
    """Images in a step of one process; N processes take N times as many."""
    micro_batch: int | None = None
    """Most images whose graph is held at a time; None for the whole batch. The gradients stay those
    of the batch, HSIC included, except that batch norm takes its statistics from a micro-batch."""
    every_n_steps: int = 1
    """sib only: take the terms on every k-th step alone, weighted × k. Deviates from the method."""
    sib_fraction: float = 1.0
    """sib only: take the terms on this part of each batch. Deviates from the method."""
    hsic_scope: Literal["local", "global"] = "local"
    """What the S-IB terms compare, where there are several processes: the images of one process,
    or of all."""
    seed: int = 0
    """Seed of weights, order and augmentation."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:N or mps."""
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Of the model; everything after the logits is float32. In float16 the loss is scaled by a
    factor that follows the gradients' range; slow on CPUs."""
    checkpoint: bool = False
    """sib only: keep the inputs of the model's repeated blocks alone and compute the rest anew.
    The same gradients for less memory and more time."""
    compile: bool = False
    """sib only: compile the step, its inner gradient included, as one graph; the first step takes
    long, and needs a C++ compiler on CPUs. What cannot be compiled runs uncompiled, with a
    warning."""
    deterministic: bool = False
    """Let cuDNN use only algorithms that give the same bits each time; matters on CUDA."""
    workers: int = 2
    """Processes that read images, for each process that trains; 0 reads in the main one."""
    save_every_steps: int | None = None
    """Save the state after so many steps, too; None for at the end of each epoch only."""
    on_bad_image: Literal["error", "skip"] = "error"
    """An image that cannot be read ends the run, or is left out, counted and listed; skip reads
    the files themselves, without the cache."""
    bad_steps: int = 5
    """Steps in a row whose loss or gradient is not finite before the run ends; each of them
    is taken back and counted."""
    resume: bool = False
    """Go on from the last saved step of the run folder. May be changed then: epochs, out, root,
    device, workers, micro-batch, checkpoint, save-every-steps, on-bad-image, bad-steps,
    input.cache."""
    dry_run: bool = False
    """Say what the run would cost, and stop."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    rival: RivalConfig = field(default_factory=RivalConfig)
    input: InputConfig = field(default_factory=InputConfig)

    def __post_init__(self) -> None:
        """Raise InputError where a number is out of its range."""
        for name, value in _floats(self):
            if not math.isfinite(value):
                raise InputError(f"--{name} must be a finite number; got {value}")
        _check_objective(self)
        _check_rival(self)
        smallest = smallest_batch(self.objective.estimator)
        if not self.input.cache:
            raise InputError("--input.cache must be auto, off or a folder; got ''")
        if not 0 < self.input.crop_area <= 1:
            raise InputError(
                f"--input.crop-area must lie above 0 and at most at 1; got {self.input.crop_area}"
            )
        _at_least("epochs", self.epochs, 1)
        _at_least("batch-size", self.batch_size, smallest if self.method == "sib" else 2)
        for name, number in (
            ("micro-batch", self.micro_batch),
            ("save-every-steps", self.save_every_steps),
        ):
            if number is not None:
                _at_least(name, number, 1)
        _at_least("every-n-steps", self.every_n_steps, 1)
        if not 0 < self.sib_fraction <= 1:
            raise InputError(
                f"--sib-fraction must lie above 0 and at most at 1; got {self.sib_fraction}"
            )
        if self.sib_fraction < 1 and self.micro_batch is not None:
            raise InputError("--sib-fraction and --micro-batch cannot go together; give one")
        if self.method != "sib" and (self.every_n_steps > 1 or self.sib_fraction < 1):
            raise InputError(
                f"--every-n-steps and --sib-fraction are for --method sib; got {self.method}"
            )
        if self.method != "sib" and (self.compile or self.checkpoint):
            raise InputError(f"--compile and --checkpoint are for --method sib; got {self.method}")
        if self.compile and self.checkpoint:
            raise InputError("--compile and --checkpoint cannot go together; give one")
        _at_least("workers", self.workers, 0)
        _at_least("bad-steps", self.bad_steps, 1)
        _at_least("seed", self.seed, 0)
        if self.seed >= 2**63:
            raise InputError(f"--seed must be below 2^63; got {self.seed}")
        if self.image_size is not None:
            _at_least("image-size", self.image_size, 1)
        _at_least("schedule.step-epochs", self.schedule.step_epochs, 1)
        _at_least("schedule.warmup-epochs", self.schedule.warmup_epochs, 0)
        _at_least("optimizer.weight-decay", self.optimizer.weight_decay, 0)
        _above_zero("optimizer.learning-rate", self.optimizer.learning_rate)
        _above_zero("schedule.gamma", self.schedule.gamma)
        if self.optimizer.clip_norm is not None:
            _above_zero("optimizer.clip-norm", self.optimizer.clip_norm)

    @property
    def annotated_share(self) -> float:
        """Share of the annotated training images whose foreground the method uses."""
        default = 1.0 if self.method in ANNOTATED else 0.0
        return default if self.guided_share is None else self.guided_share

    @property
    def looks_inside(self) -> bool:
        """Whether the method needs the features of the last stage."""
        if self.method == "sib":
            return self.objective.kind == "calibrated"
        return self.method == "energy" and self.rival.at == "final"

    @property
    def folder(self) -> Path:
        """The run folder."""
        if self.out is not None:
            return self.out
        data, arch = Path(self.data).name or "data", self.arch.replace("/", "-")
        return Path("runs") / f"{data}-{arch}-{self.method}-{self.seed}"

    @property
    def side(self) -> int:
        """Side of the square input in pixels."""
        return self.image_size or (48 if self.data == "digits" else 224)


def _floats(config: Any, prefix: str = "") -> Iterator[tuple[str, float]]:
    """Every floating-point option, nested ones included, by its name on the command line."""
    for item in fields(config):
        value, name = getattr(config, item.name), prefix + item.name.replace("_", "-")
        if is_dataclass(value):
            yield from _floats(value, f"{name}.")
        elif isinstance(value, float):
            yield name, value


CALIBRATED = ("image_weight", "layer_weight", "stage_weight", "balance", "layer")
"""Options of the calibrated objective; all others are the published one's."""


def _check_objective(config: TrainConfig) -> None:
    """Raise InputError where options of one objective are given for the other."""
    objective = config.objective
    for item in fields(ObjectiveConfig) if config.method == "sib" else ():
        name, own = item.name.replace("_", "-"), item.name in CALIBRATED
        changed = getattr(objective, item.name) != item.default
        if changed and item.name != "kind" and own != (objective.kind == "calibrated"):
            other = "calibrated" if own else "published"
            raise InputError(f"--objective.{name} is for --objective {other}; got {objective.kind}")
    _at_least("objective.image-weight", objective.image_weight, 0)
    _at_least("objective.layer-weight", objective.layer_weight, 0)
    _at_least("objective.stage-weight", objective.stage_weight, 0)
    if config.method == "sib" and config.compile and objective.kind == "calibrated":
        raise InputError("--compile is for --objective published; got calibrated")


ANNOTATED = ("rrr", "energy")
"""Methods that learn nothing but cross-entropy from images without annotation."""
OWN = {
    "weight": ("saliency_guided", *ANNOTATED),
    "masked_share": ("saliency_guided",),
    "at": ("energy",),
    "layer": ("energy",),
}
"""The methods that have each of the rivals' options."""


def _check_rival(config: TrainConfig) -> None:
    """Raise InputError where a rival's options are out of range, or of another method."""
    for item in fields(RivalConfig):
        name, methods = item.name.replace("_", "-"), OWN[item.name]
        if getattr(config.rival, item.name) != item.default and config.method not in methods:
            raise InputError(
                f"--rival.{name} is for --method {', '.join(methods)}; got {config.method}"
            )
    _at_least("rival.weight", config.rival.weight, 0)
    if config.rival.layer is not None and config.rival.at == "input":
        raise InputError("--rival.layer is for --rival.at final; got input")
    if not 0 < config.rival.masked_share < 1:
        raise InputError(
            "--rival.masked-share must lie between 0 and 1, both excluded; got "
            f"{config.rival.masked_share}"
        )
    if not 0 <= config.background_exchange <= 1:
        raise InputError(
            f"--background-exchange must lie in 0 to 1; got {config.background_exchange}"
        )
    if config.background_exchange and not config.annotated_share:
        raise InputError(
            "--background-exchange needs foregrounds to train with: give --guided-share, or "
            f"--method {' or '.join(ANNOTATED)}"
        )
    if config.guided_share is None:
        return
    if not 0 <= config.guided_share <= 1:
        raise InputError(f"--guided-share must lie in 0 to 1; got {config.guided_share}")
    if config.method in ANNOTATED and not config.guided_share:
        raise InputError(f"--guided-share must lie above 0 for --method {config.method}; got 0.0")
    if config.method not in ("sib", *ANNOTATED):
        raise InputError(f"--guided-share is for --method sib, rrr, energy; got {config.method}")
    if config.compile and config.guided_share:
        raise InputError("--compile and --guided-share cannot go together; give one")


def smallest_batch(estimator: str) -> int:
    """Fewest images of which an estimator of HSIC has a value."""
    from sib.functional.dependence import ESTIMATORS  # with torch, which a run loads anyway

    return ESTIMATORS[estimator]


def _at_least(name: str, value: float, smallest: float) -> None:
    if not smallest <= value < float("inf"):
        raise InputError(f"--{name} must be at least {smallest}; got {value}")


def _above_zero(name: str, value: float) -> None:
    if not 0 < value < float("inf"):
        raise InputError(f"--{name} must be above 0; got {value}")
