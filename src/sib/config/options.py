"""Groups of options of a training run."""

from dataclasses import KW_ONLY, dataclass
from typing import Annotated, Literal

import tyro

from sib.config.choices import Normalization, TestSplit


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
    masked_share: float = 0.5
    """saliency_guided only: share of the pixels that are replaced."""
    at: Literal["final", "input"] = "final"
    """energy only: where the attribution is taken, at the last stage or at the image."""
    layer: str | None = None
    """energy only: the module whose features are the last stage; the architecture's own where not
    given."""


@dataclass(frozen=True)
class OptimizerConfig:
    """AdamW."""

    learning_rate: float = 1e-3
    """Highest learning rate."""
    weight_decay: float = 1e-4
    """Decoupled weight decay."""
    clip_norm: float | None = None
    """Largest norm of the whole gradient; None for no clipping."""


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
    augment: Literal["none", "flip", "crop"] = "none"
    """none: resize and centre crop. flip: and a random flip. crop: random resized crop and flip."""
    crop_area: float = 0.35
    """Smallest share of the image's area that augment crop keeps."""
    normalization: Normalization = "half"
    """half: mean and deviation 0.5. imagenet: those of ImageNet's colours."""
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
