"""The options of a training run: typed, nested and documented; the command line comes from them."""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from sib.config.facts import (
    ANNOTATED,
    GUIDED,
    SPATIAL_IB,
    flatten,
    objective_of,
    option,
    options,
    refusal,
)
from sib.config.fine_tuning import (
    FineTuningConfig,
    check_fine_tuning,
    check_mixing,
    check_normalization,
)
from sib.config.image_size import ImageSizeOption
from sib.config.options import (
    InputConfig,
    ObjectiveConfig,
    OptimizerConfig,
    RivalConfig,
    ScheduleConfig,
    check_optimizer,
)
from sib.objectives.registry import METHODS, check_method, needs_foreground
from sib.tracking.registry import tracker_names
from sib.utils.errors import InputError
from sib.utils.image_size import ImageSize, check_size

BESIDE_OBJECTIVES = ("kind", "foreground_layer", "foreground_area")
"""Options of a group of objectives that are not arguments of any of them."""


@dataclass(frozen=True)
class TrainConfig(FineTuningConfig):
    """Train an image classifier, with S-IB or with plain cross-entropy.

    Options can come from a file, --config FILE.yaml; those on the command line win.
    """

    recipe: Annotated[tyro.conf.Positional[str | None], tyro.conf.arg(metavar="[RECIPE]")] = option(
        None, harmless=True
    )
    """Published recipe, such as cub200/resnet50; sib recipes lists them. It sets the data, the
    architecture and the schedule. Options that you give override it."""
    data: str = ""
    """Data set. Named ones: digits (built in); cifar100, cub200, stanford_dogs, imagenet or
    oxford_pet, below --root; or a folder of images, FOLDER/train/CLASS/*.jpg and
    FOLDER/test/CLASS/*.jpg, or FOLDER/CLASS/*.jpg."""
    labels: Path | None = None
    """A CSV of several labels an image, for a folder of images: a column labels with ; or | between
    them, or a column of 0 and 1 for each label. The loss is binary cross-entropy, and the best
    epoch is chosen by mAP."""
    root: Path = option(Path("data"), resume=True, harmless=True)
    """Folder of the named data sets. sib data prepare puts them there."""
    out: Path | None = option(None, resume=True, harmless=True)
    """Run folder. Default: runs/DATA-ARCH-METHOD-SEED."""
    arch: str = "resnet18"
    """Architecture: small_resnet, any torchvision classifier, timm/NAME, or your own as
    MODULE:FUNCTION, a function that takes the number of classes."""
    method: Annotated[str, tyro.conf.arg(metavar=f"{{{','.join(METHODS)}}}")] = "sib"
    """Training method. sib: cross-entropy plus the S-IB terms. ce: cross-entropy alone, the
    baseline. saliency_guided (Ismail et al. 2021) needs no annotation either. rrr (right for the
    right reasons, Ross et al. 2017) and energy (Rao et al. 2023) need foregrounds. Methods of other
    packages can be named, too."""
    guided_share: float | None = option(None, only_for=GUIDED)
    """Share of the annotated training images whose foreground is used, 0 to 1; always the same
    images. In sib it replaces the foreground that S-IB finds. Default: 0 for sib, 1 for rrr and
    energy."""
    foreground: Literal["colours", "pretrained", "auto"] = option("auto", only_for=("calibrated",))
    """calibrated only: how the foreground of an image without a used annotation is found. colours:
    in each batch, from the reconstruction R. pretrained: once, by the network of --weights. auto:
    pretrained if --weights is given, colours otherwise."""
    background_exchange: float = option(0.0, only_for=GUIDED)
    """Share of the images with a used foreground whose background is exchanged for that of another
    image in the batch, 0 to 1."""
    layer: str | None = None
    """Module that counts as the last stage, such as layer3. Class activation maps and objectives
    that use features take them there, and later commands remember it. Default: the architecture's
    own."""
    stages: str | None = option(None, only_for=("calibrated",))
    """calibrated only: modules that end the finer stages, separated by commas, such as
    layer3,layer2, or none. Default: up to three, found by the sizes of their outputs."""
    selection: Literal["validation", "test"] = "validation"
    """Split on which the best epoch is chosen. validation: images held out of the training
    split. test: as published; nothing is held out, so the test figure is optimistic."""
    image_size: ImageSizeOption = None
    """Side of the square input in pixels, or height and width as HxW. Default: 48 for digits, the
    size that the start weights were trained with, or 224."""
    epochs: int = option(30, resume=True)
    """Passes over the training images, at least 1."""
    batch_size: int = 32
    """Images in a step of one process; N processes take N times as many. If memory runs out, try
    --micro-batch first."""
    micro_batch: int | None = option(None, resume=True)
    """Most images whose graph is in memory at once, at least 1. Lower it if memory runs out. The
    gradients stay those of the whole batch, HSIC included, but batch norm uses the statistics of
    each micro-batch. Default: the whole batch."""
    every_n_steps: int = option(1, only_for=SPATIAL_IB)
    """sib only: compute the terms on every k-th step, with their weights times k. Raise it to save
    time; values above 1 deviate from the method."""
    sib_fraction: float = option(1.0, only_for=SPATIAL_IB)
    """sib only: compute the terms on this share of each batch, above 0 to 1. Lower it to save time;
    values below 1 deviate from the method."""
    hsic_scope: Literal["local", "global"] = option("local", only_for=("published",))
    """published only: which images HSIC compares when several processes train. local: those of
    each process. global: those of all processes."""
    seed: int = 0
    """Seed of the weights, the order of the images and the augmentation, at least 0."""
    device: str = option("auto", resume=True, harmless=True)
    """Device: auto, cpu, cuda, cuda:N or mps."""
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Precision of the model; everything after the logits is float32. bfloat16 and float16 are
    faster on GPUs; in float16 the loss is scaled so that small gradients survive."""
    memory_format: Literal["auto", "contiguous", "channels_last"] = option("auto", harmless=True)
    """Order of the weights and feature maps in memory; results differ by rounding. auto:
    channels_last for networks with depthwise convolutions on a CPU, where it is faster; contiguous
    otherwise. The run records the choice and keeps it when it is resumed."""
    checkpoint: bool = option(False, resume=True, harmless=True, only_for=SPATIAL_IB)
    """sib only: keep only the inputs of the model's repeated blocks, and recompute the rest in
    the backward pass. Gives the same gradients with less memory, but takes longer."""
    compile: bool = option(False, only_for=("published",))
    """published only: compile the whole step, its inner gradient included. The first step takes
    long, and CPUs need a C++ compiler. What cannot be compiled runs uncompiled, with a warning."""
    deterministic: bool = False
    """Use only cuDNN algorithms that give the same bits every time. Slower; has an effect on CUDA
    only."""
    workers: int = option(2, resume=True, harmless=True)
    """Processes that read images, per training process; 0 reads in the main process."""
    save_every_steps: int | None = option(None, resume=True, harmless=True)
    """Also save the state after every so many steps. Default: only at the end of each epoch."""
    on_bad_image: Literal["error", "skip"] = option("error", resume=True)
    """What to do with an image that cannot be read. error: end the run. skip: leave it out, count
    it and list it; skip does not use --input.cache."""
    bad_steps: int = option(5, resume=True, harmless=True)
    """End the run after this many steps in a row with a loss or gradient that is not finite. Each
    such step is undone and counted."""
    resume: bool = option(False, resume=True, harmless=True)
    """Continue from the last saved step of the run folder. These may change: epochs, out,
    root, device, workers, micro-batch, checkpoint, save-every-steps, on-bad-image, bad-steps,
    freeze, unfreeze-after, early-stopping, track, input.cache."""
    track: str = option("none", resume=True, harmless=True)
    """Trackers that show the curves and a picture of explanations during training: none, or
    tensorboard, wandb, mlflow, separated by commas. Trackers of other packages can be named, too.
    Each needs pip install "sib[NAME]"; metrics.jsonl is always written."""
    dry_run: bool = option(False, resume=True, harmless=True)
    """Print what the run would cost, and stop."""
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
        check_method(self.method)
        tracker_names(self.track)
        _check_objective(self)
        _check_foreground(self)
        _check_rival(self)
        check_fine_tuning(self)
        check_mixing(self, self.method)
        check_normalization(self.input.normalization)
        check_optimizer(self.optimizer)
        smallest = smallest_batch(self.objective.estimator)
        if self.layer == "":
            raise InputError("--layer must be the name of a module; got ''")
        if self.stage_names is not None and not all(self.stage_names):
            raise InputError(
                f"--stages must be names of modules, separated by commas; got {self.stages!r}"
            )
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
        if self.compile and self.checkpoint:
            raise InputError("--compile and --checkpoint cannot go together; give one")
        _at_least("workers", self.workers, 0)
        _at_least("bad-steps", self.bad_steps, 1)
        _at_least("seed", self.seed, 0)
        if self.seed >= 2**63:
            raise InputError(f"--seed must be below 2^63; got {self.seed}")
        if self.image_size is not None:
            check_size(self.image_size, "--image-size")
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
        given = self.objective.balance_floor
        return (1.0 if self.weights else 0.0) if given is None else given

    @property
    def looks_inside(self) -> bool:
        """Whether the method needs the features of the last stage."""
        if self.method == "sib":
            return self.is_calibrated
        return self.method == "energy" and self.rival.at == "final"

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


def _floats(config: Any, prefix: str = "") -> Iterator[tuple[str, float]]:
    """Every floating-point option, nested ones included, by its name on the command line."""
    for item in fields(config):
        value, name = getattr(config, item.name), prefix + item.name.replace("_", "-")
        if is_dataclass(value):
            yield from _floats(value, f"{name}.")
        elif isinstance(value, float):
            yield name, value


def _check_objective(config: TrainConfig) -> None:
    """Raise InputError where an option has no effect, or a weight is out of its range."""
    objective = config.objective
    sentence = refusal(TrainConfig, flatten(asdict(config)))
    if sentence is not None:
        raise InputError(sentence)
    _at_least("objective.image-weight", objective.image_weight, 0)
    _at_least("objective.layer-weight", objective.layer_weight, 0)
    _at_least("objective.stage-weight", objective.stage_weight, 0)
    if objective.balance_floor is not None and not 0 <= objective.balance_floor <= 1:
        raise InputError(
            f"--objective.balance-floor must lie in 0 to 1; got {objective.balance_floor}"
        )
    if config.hsic_scope == "global" and "hsic" not in (objective.alignment, objective.background):
        raise InputError(
            f"--hsic-scope global is for terms that compare images by HSIC; got --objective."
            f"alignment {objective.alignment} and --objective.background {objective.background}"
        )


def _check_foreground(config: TrainConfig) -> None:
    """Raise InputError where foregrounds from a start network are wanted but there is none."""
    area = config.objective.foreground_area
    if area != "otsu" and not 0 < area < 1:
        raise InputError(
            "--objective.foreground-area must lie between 0 and 1, both excluded, or be otsu; got "
            f"{area}"
        )
    if config.weights is not None:
        return
    if config.foreground == "pretrained":
        raise InputError(
            "--foreground pretrained needs a network to start from: give --weights, or "
            "--foreground colours"
        )
    if config.objective.foreground_layer is not None:
        raise InputError(
            "--objective.foreground-layer is of the network that a run starts from: give "
            "--weights, too"
        )


def _check_rival(config: TrainConfig) -> None:
    """Raise InputError where an option for rivals or foregrounds is out of its range."""
    _at_least("rival.weight", config.rival.weight, 0)
    if not 0 < config.rival.masked_share < 1:
        raise InputError(
            "--rival.masked-share must lie between 0 and 1, both excluded; got "
            f"{config.rival.masked_share}"
        )
    if not 0 <= config.background_exchange <= 1:
        raise InputError(
            f"--background-exchange must lie in 0 to 1; got {config.background_exchange}"
        )
    if config.background_exchange and not config.known_share:
        raise InputError(
            "--background-exchange needs foregrounds to train with: give --guided-share, "
            f"--foreground pretrained, or --method {' or '.join(ANNOTATED)}"
        )
    if config.guided_share is None:
        return
    if not 0 <= config.guided_share <= 1:
        raise InputError(f"--guided-share must lie in 0 to 1; got {config.guided_share}")
    if not config.guided_share and needs_foreground(config.method):
        raise InputError(f"--guided-share must lie above 0 for --method {config.method}; got 0.0")
    if config.compile and config.guided_share:
        raise InputError("--compile and --guided-share cannot go together; give one")


def smallest_batch(estimator: str) -> int:
    """Fewest images for which an estimator of HSIC is defined."""
    from sib.functional.dependence import ESTIMATORS  # with torch, which a run loads anyway

    return ESTIMATORS[estimator]


def _at_least(name: str, value: float, smallest: float) -> None:
    if not smallest <= value < float("inf"):
        raise InputError(f"--{name} must be at least {smallest}; got {value}")


def _above_zero(name: str, value: float) -> None:
    if not 0 < value < float("inf"):
        raise InputError(f"--{name} must be above 0; got {value}")
