"""Groups of options of a training run."""

from dataclasses import KW_ONLY, dataclass
from typing import Annotated, Literal

import tyro

from sib.data.normalization import Normalization
from sib.data.open import TestSplit
from sib.data.transforms import Augment, Resize
from sib.utils.errors import InputError


@dataclass(frozen=True)
class ObjectiveConfig:
    """The S-IB objective."""

    foreground_weight: float = 0.01
    """λ_fg, weight of the alignment inside the foreground."""
    background_weight: float = 1000.0
    """λ_bg, weight of the information outside it."""
    window_size: int = 31
    """Side of the mask's density window, in pixels."""
    temperature: float = 0.1
    """Temperature of the soft quantiles, in ranks."""
    slope: float = 10.0
    """Slope of the mask's sigmoids."""
    projection_dim: int | None = None
    """Columns of the random projection before HSIC; None for no projection."""
    form: Literal["linear", "exp"] = "linear"
    """linear: the published description. exp: the published scripts."""
    cotangent: Literal["probabilities", "logits", "margin"] = "probabilities"
    """What the VJP starts from; margin is the log-odds of the decision."""
    mask: Literal["density", "hard", "centred", "area"] = "density"
    """How the foreground is found."""
    area: float = 0.1
    """Wanted mean of the mask, for mask area."""
    alignment: Literal["hsic", "ssim"] = "hsic"
    """The foreground term."""
    background: Literal["variance", "hsic", "magnitude"] = "variance"
    """The background term."""
    estimator: Literal["biased", "unbiased"] = "biased"
    """Estimator of HSIC; the published one is biased."""
    _: KW_ONLY
    kind: Annotated[Literal["published", "calibrated"], tyro.conf.arg(aliases=["--objective"])] = (
        "calibrated"
    )
    """calibrated: shares of the background, which need no tuning; of the options image-weight,
    layer-weight, stage-weight, balance and layer are its own. published: alignment and background
    variance, with the options above, which are the published ones; all recipes have it."""
    image_weight: float = 0.1
    """calibrated only: of the share of R's energy in the background. A weight is the norm of its
    term's gradient over cross-entropy's."""
    layer_weight: float = 0.1
    """calibrated only: of the share of the last stage's evidence in the background."""
    stage_weight: float = 0.1
    """calibrated only: of the mean share of the evidence of the stages between the two."""
    balance: bool = True
    """calibrated only: measure the gradients on every eighth batch, so that the weights mean what
    is said above. Without it they are factors of the shares; 0.6, 2 and 2 were chosen in a
    ResNet-18."""
    layer: str | None = None
    """calibrated only: the module whose features are the last stage; the architecture's own where
    not given."""


@dataclass(frozen=True)
class RivalConfig:
    """The methods that S-IB is compared with."""

    weight: float = 1.0
    """Of the method's term beside cross-entropy."""
    balance: bool = False
    """Measure gradients as the calibrated objective does, so that weight is the norm of the term's
    gradient over cross-entropy's, and methods are compared in one unit."""
    masked_share: float = 0.5
    """saliency_guided only: share of the pixels that are replaced."""
    at: Literal["final", "input"] = "final"
    """energy only: where the attribution is taken, at the last stage or at the image."""
    layer: str | None = None
    """energy only: the module whose features are the last stage; the architecture's own where not
    given."""


@dataclass(frozen=True)
class OptimizerConfig:
    """How a gradient changes the weights."""

    learning_rate: float = 1e-3
    """Highest learning rate."""
    weight_decay: float = 1e-4
    """Decoupled weight decay."""
    clip_norm: float | None = None
    """Largest norm of the whole gradient; None for no clipping."""
    kind: Literal["adamw", "sgd"] = "adamw"
    """adamw, or sgd with momentum, whose weight decay is part of the gradient."""
    momentum: float = 0.9
    """sgd only: from 0 to below 1."""
    head_learning_rate: float | None = None
    """Highest learning rate of the head, the layers whose shape depends on the number of classes;
    learning-rate where not given."""
    layer_decay: float = 1.0
    """Factor on the learning rate from each block to the one before it, counted from the head,
    above 0 and at most 1; 1 trains all blocks alike."""


@dataclass(frozen=True)
class ScheduleConfig:
    """The learning rate over the run."""

    kind: Literal["cosine", "step"] = "cosine"
    """cosine: to zero at the end. step: times gamma every step_epochs."""
    step_epochs: int = 30
    """Epochs between two steps."""
    gamma: float = 0.1
    """Factor of a step."""
    warmup_epochs: float = 0.0
    """Epochs of linear warm-up from zero."""


@dataclass(frozen=True)
class InputConfig:
    """Splits, foreground masks and image transforms."""

    validation_fraction: float = 0.1
    """Share of the training images held out to choose the best epoch."""
    test_fraction: float = 0.2
    """Share held out for the test where the folder has no test split of its own."""
    test_split: TestSplit = "own"
    """own: the data's own test split, where there is one. random: put its images back and hold out
    test_fraction of each class by split_seed, for repeated splits."""
    split_seed: int = 0
    """Seed of these splits."""
    masks: str | None = None
    """Folder of foreground masks, where they do not lie beside the images."""
    annotations: str | None = None
    """Boxes or masks of a folder's images: COCO JSON, PASCAL VOC XML, labelme JSON or CSV, a file
    or a folder of files; or a folder of YOLO text files."""
    groups: str | None = None
    """CSV with the columns image and group (a patient, a camera); no group is in two splits."""
    augment: Augment = "none"
    """none: resize and centre crop. flip: and a random flip. crop: random resized crop and flip.
    randaugment, trivial: crop, flip and torchvision's RandAugment or TrivialAugment; where these
    move pixels, the foreground moves along."""
    crop_area: float = 0.35
    """Smallest share of the image's area that augment crop keeps."""
    resize: Resize = "crop"
    """What brings an image to its size where no random crop does. crop: the short side is resized,
    and the centre cropped. squash: height and width are resized, whatever their ratio. pad: the
    whole image is resized and laid on grey."""
    normalization: Normalization = "auto"
    """half: mean and deviation 0.5. imagenet: those of ImageNet's colours. MEAN/STD: any others, of
    images in [0, 1], such as 0.5,0.5,0.5/0.25,0.25,0.25. auto: what the start weights want, half
    for random ones."""
    drop_last: bool = False
    """Leave out the last training batch of an epoch where it is not full."""
    cache: str = "auto"
    """Keep resized images on disk, where the transform is not random before the flip. auto: in
    ~/.cache/sib where they fit. off: never. Else: the folder to keep them in."""
    background_strength: float = 0.5
    """digits only, 0 to 1: how strongly the background predicts the class."""
    train_size: int = 4000
    """digits only: images to train and validate on."""
    test_size: int = 1000
    """digits only: images to test on."""


def check_optimizer(config: OptimizerConfig) -> None:
    """Raise InputError where an option of the optimiser is out of its range."""
    if not 0 <= config.momentum < 1:
        raise InputError(
            f"--optimizer.momentum must lie in 0 to 1, 1 excluded; got {config.momentum}"
        )
    if config.kind != "sgd" and config.momentum != OptimizerConfig.momentum:
        raise InputError(f"--optimizer.momentum is for --optimizer.kind sgd; got {config.kind}")
    rate = config.head_learning_rate
    if rate is not None and not 0 < rate < float("inf"):
        raise InputError(f"--optimizer.head-learning-rate must be above 0; got {rate}")
    if not 0 < config.layer_decay <= 1:
        raise InputError(
            f"--optimizer.layer-decay must lie above 0 and at most at 1; got {config.layer_decay}"
        )
