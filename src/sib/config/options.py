"""Groups of options of a training run."""

from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from sib.config.choices import Augment, Normalization, Resize, TestSplit
from sib.config.facts import RIVALS, SPATIAL_IB, option, options
from sib.utils.errors import InputError

WEIGHT_INTERVAL = 8
"""Steps between two measurements of the weights at first; `weighting.WEIGHT_UPDATE_INTERVAL`, whose
module loads torch."""
STEADY_INTERVAL = 32
"""The same from the 64th step on; the default of `CalibratedSpatialIB`, too."""


@dataclass(frozen=True, kw_only=True)
class ObjectiveConfig:
    """The S-IB objective."""

    kind: Annotated[Literal["published", "calibrated"], tyro.conf.arg(aliases=["--objective"])] = (
        option("calibrated", only_for=SPATIAL_IB)
    )
    """Which S-IB objective. calibrated: shares of the background, which need no tuning. published:
    alignment and background variance, as in all recipes. Each option below names the one that it
    belongs to."""
    image_weight: float = option(0.1, only_for=("calibrated",))
    """calibrated only: how strongly the reconstruction is moved off the background, at least 0: the
    norm of this term's gradient over that of cross-entropy. Raise it if maps still leak."""
    layer_weight: float = option(0.1, only_for=("calibrated",))
    """calibrated only: how strongly the evidence at the last stage is moved off the background, at
    least 0, in the same unit. Raise it if class activation maps still leak."""
    stage_weight: float = option(0.1, only_for=("calibrated",))
    """calibrated only: how strongly the evidence at the finer stages is moved off the background,
    at least 0, in the same unit."""
    balance: bool = option(True, only_for=("calibrated",))
    """calibrated only: measure the gradients from time to time, and rescale the terms so that
    the weights keep their unit. Without it the weights are plain factors of the terms; for a
    ResNet-18, 0.6 (image), 2 (layer) and 2 (stages) were chosen."""
    balance_floor: float | None = option(
        None, only_for=("calibrated",), only_if=("objective.balance", ("True",))
    )
    """calibrated with balance only: cross-entropy's gradient counts as at least this share of its
    largest norm so far, 0 to 1, so that the terms do not fade with it once the network fits.
    Default: 1 if the run starts from weights, 0 otherwise."""
    steady_interval: int = option(
        STEADY_INTERVAL, only_for=("calibrated",), only_if=("objective.balance", ("True",))
    )
    """calibrated with balance only: the gradients are measured on every eighth step with terms, and
    from the 64th on only on every N-th, a multiple of 8. A larger N costs less time and follows the
    gradients more slowly."""
    foreground_layer: str | None = option(
        None, only_for=("calibrated",), only_if=("foreground", ("pretrained", "auto"))
    )
    """calibrated with --foreground pretrained only: module of the start network whose features give
    the foreground. Default: one of its last stage, or at three quarters of a transformer's
    depth."""
    foreground_area: float | Literal["otsu"] = option(
        0.2, only_for=("calibrated",), only_if=("foreground", ("pretrained", "auto"))
    )
    """calibrated with --foreground pretrained only: share of each image that is foreground, between
    0 and 1, or otsu, a threshold for each image, so that large objects get large foregrounds."""
    foreground_weight: float = option(0.01, only_for=("published",))
    """published only: λ_fg, weight of the alignment of reconstruction and image inside the
    foreground, at least 0."""
    background_weight: float = option(1000.0, only_for=("published",))
    """published only: λ_bg, weight of the information outside the foreground, at least 0. Raise it
    if maps still leak into the background."""
    window_size: int = option(
        31, only_for=("published",), only_if=("objective.mask", ("density", "hard"))
    )
    """published only: side of the mask's density window in pixels, at most the image's side. 31
    suits 224 pixels."""
    temperature: float = option(0.1, only_for=("published",))
    """published only: temperature of the soft quantiles, in ranks, above 0; smaller is sharper."""
    slope: float = option(10.0, only_for=("published",))
    """published only: slope of the mask's sigmoids, above 0; larger values make the mask harder."""
    projection_dim: int | None = option(None, only_for=("published",))
    """published only: columns of a random projection before HSIC, at least 1. Set it to save time
    with large images. Default: no projection."""
    form: Literal["linear", "exp"] = option("linear", only_for=("published",))
    """published only: how the terms enter the loss. linear: the published description. exp: the
    published scripts."""
    cotangent: Literal["probabilities", "logits", "margin"] = option(
        "probabilities", only_for=("published",)
    )
    """published only: what the reconstruction explains: the probabilities, the logits, or the
    margin, which is the log-odds of the decision."""
    mask: Literal["density", "hard", "centred", "area"] = option("density", only_for=("published",))
    """published only: how the foreground is found in the reconstruction. density: where strong
    values are dense, as in the paper. hard: the same, cut to 0 and 1. centred: where single values
    are strong. area: as centred, with the mean that --objective.area gives."""
    area: float = option(0.1, only_for=("published",), only_if=("objective.mask", ("area",)))
    """published only: mean that --objective.mask area aims at, 0 to 1."""
    alignment: Literal["hsic", "ssim"] = option("hsic", only_for=("published",))
    """published only: foreground term: HSIC, or structural similarity of reconstruction and
    image."""
    background: Literal["variance", "hsic", "magnitude"] = option(
        "variance", only_for=("published",)
    )
    """published only: background term: variance, HSIC with the image, or magnitude of the
    reconstruction."""
    estimator: Literal["biased", "unbiased"] = option("biased", only_for=("published",))
    """published only: estimator of HSIC; the published one is biased. unbiased needs batches of at
    least 4."""

    @property
    def term_weights(self) -> dict[str, float]:
        """The weights of the selected objective, by the names of their options."""
        return {
            known.name.removesuffix("_weight"): getattr(self, known.name)
            for known in options(type(self))
            if known.name.endswith("_weight") and self.kind in known.facts.only_for
        }


@dataclass(frozen=True)
class RivalConfig:
    """The methods that S-IB is compared with."""

    weight: float = option(1.0, only_for=RIVALS)
    """Weight of the method's term relative to cross-entropy, at least 0."""
    balance: bool = option(False, only_for=RIVALS)
    """Measure the gradients as the calibrated objective does, so that weight is the norm of the
    term's gradient over that of cross-entropy, and methods are compared in one unit."""
    balance_floor: float = option(0.0, only_for=RIVALS, only_if=("rival.balance", ("True",)))
    """With --rival.balance only: cross-entropy's gradient counts as at least this share of its
    largest norm so far, 0 to 1. S-IB has 1 if a run starts from weights; a comparison with it
    there needs 1, too."""
    masked_share: float = option(0.5, only_for=("saliency_guided",))
    """saliency_guided only: share of the pixels that are replaced, between 0 and 1."""
    temperature: float = option(0.5, only_for=("cgc",))
    """cgc only: temperature of the contrast between the maps of a batch, above 0; a smaller one
    counts similar maps of other images more."""
    at: Literal["final", "input"] = option("final", only_for=("energy",))
    """energy only: where the attribution is taken, at the last stage or at the image."""


@dataclass(frozen=True)
class OptimizerConfig:
    """How a gradient changes the weights."""

    learning_rate: float = 1e-3
    """Highest learning rate, above 0. Lower it to fine-tune, or if the loss is not finite."""
    weight_decay: float = 1e-4
    """Decoupled weight decay, at least 0."""
    clip_norm: float | None = None
    """Largest norm of the whole gradient, above 0. Default: no clipping."""
    kind: Literal["adamw", "sgd"] = "adamw"
    """Optimizer. adamw: decoupled weight decay. sgd: with momentum; weight decay is part of the
    gradient."""
    momentum: float = option(0.9, only_if=("optimizer.kind", ("sgd",)))
    """sgd only: momentum, from 0 to below 1."""
    head_learning_rate: float | None = None
    """Highest learning rate of the head, the layers whose shape depends on the number of classes,
    above 0. Default: --optimizer.learning-rate."""
    layer_decay: float = 1.0
    """Factor on the learning rate from each block to the one before it, counted from the head,
    above 0 and at most 1. Lower it to change early blocks less; 1 trains all blocks alike."""


@dataclass(frozen=True)
class ScheduleConfig:
    """How the learning rate changes during the run."""

    kind: Literal["cosine", "step"] = "cosine"
    """Course of the learning rate. cosine: falls to zero at the end. step: is multiplied by gamma
    every step_epochs."""
    step_epochs: int = option(30, only_if=("schedule.kind", ("step",)))
    """step only: epochs between two steps, at least 1."""
    gamma: float = option(0.1, only_if=("schedule.kind", ("step",)))
    """step only: factor of a step, above 0."""
    warmup_epochs: float = 0.0
    """Epochs in which the learning rate rises linearly from zero, at least 0; may be a fraction."""


@dataclass(frozen=True)
class InputConfig:
    """Splits, foreground masks and image transforms."""

    validation_fraction: float = 0.1
    """Share of the training images held out to choose the best epoch, 0 to 1."""
    test_fraction: float = 0.2
    """Share held out for the test where the folder has no test split of its own, 0 to 1."""
    test_split: TestSplit = "own"
    """own: the data's own test split, where there is one. random: merge that split with the rest,
    and hold out test_fraction of each class by split_seed, for repeated splits."""
    split_seed: int = 0
    """Seed of the random splits."""
    masks: str | None = None
    """Folder of foreground masks. Default: beside the images."""
    mask_ending: str | None = None
    """What follows an image's name in the name of its mask, such as _label or .png; none if no file
    beside an image is a mask. _mask, _masks, _seg and the like are recognised."""
    value_range: str | None = None
    """Folders only: the values that become black and white, as LOW-HIGH, such as 0-4095 for 12-bit
    values in 16-bit images, or 0-7 for images of 8 bits. A range above 255 leaves 8-bit images as
    they are. sib data check lists the values that occur. Default: the whole range."""
    annotations: str | None = None
    """Boxes or masks of a folder's images: COCO JSON, PASCAL VOC XML, labelme JSON, CVAT XML,
    Label Studio JSON or CSV, a file or a folder of files; or a folder of YOLO text files."""
    groups: str | None = None
    """CSV with the columns image and group (a patient, a camera); no group is in two splits."""
    augment: Augment = "none"
    """Augmentation of the training images. none: resize and centre crop. flip: adds a random flip.
    crop: random resized crop and flip. randaugment, trivial: crop, flip and torchvision's
    RandAugment or TrivialAugment; where these move pixels, the foreground moves along."""
    crop_area: float = option(0.35, only_if=("input.augment", ("crop", "randaugment", "trivial")))
    """With --input.augment crop, randaugment or trivial only: smallest share of the image's area
    that a crop keeps, above 0 to 1."""
    resize: Resize = "auto"
    """How an image is brought to its size without a random crop. crop: resize the short side and
    crop the centre. squash: resize height and width, whatever their ratio. pad: lay the whole image
    on grey. With details: crop:SHARE, the crop's share of the resized side, and an ending :bicubic,
    as in crop:0.95:bicubic. auto: the rule of the start weights, or crop."""
    normalization: Normalization = option("auto", joined="/")
    """Mean and deviation of the channels. half: 0.5. imagenet: those of ImageNet. MEAN/STD: any
    others, for values in [0, 1], such as 0.5,0.5,0.5/0.25,0.25,0.25. auto: those of the start
    weights, half for random ones."""
    drop_last: bool = False
    """Leave out the last training batch of an epoch if it is not full."""
    cache: str = option("auto", resume=True, harmless=True)
    """Keep resized images on disk, unless the transform before the flip is random. auto: in
    ~/.cache/sib if they fit. off: never. Anything else: a folder for them."""
    background_strength: float = option(0.5, only_if=("data", ("digits",)))
    """digits only: how strongly the background predicts the class, 0 to 1."""
    train_size: int = option(4000, only_if=("data", ("digits",)))
    """digits only: images to train and validate on."""
    test_size: int = option(1000, only_if=("data", ("digits",)))
    """digits only: images to test on."""


def check_optimizer(config: OptimizerConfig) -> None:
    """Raise InputError where an option of the optimiser is out of its range."""
    if not 0 <= config.momentum < 1:
        raise InputError(
            f"--optimizer.momentum must be at least 0 and below 1; got {config.momentum}"
        )
    rate = config.head_learning_rate
    if rate is not None and not 0 < rate < float("inf"):
        raise InputError(f"--optimizer.head-learning-rate must be above 0; got {rate}")
    if not 0 < config.layer_decay <= 1:
        raise InputError(
            f"--optimizer.layer-decay must be above 0 and at most 1; got {config.layer_decay}"
        )
