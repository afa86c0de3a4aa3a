"""Groups of options of a training run."""

from dataclasses import KW_ONLY, dataclass
from typing import Annotated, Literal

import tyro

from sib.config.choices import Normalization, TestSplit
from sib.config.facts import RIVALS, SPATIAL_IB, option


@dataclass(frozen=True)
class ObjectiveConfig:
    """The S-IB objective."""

    foreground_weight: float = option(0.01, only_for=("published",))
    """λ_fg, weight of the alignment inside the foreground."""
    background_weight: float = option(1000.0, only_for=("published",))
    """λ_bg, weight of the information outside it."""
    window_size: int = option(
        31, only_for=("published",), only_if=("objective.mask", ("density", "hard"))
    )
    """Side of the mask's density window, in pixels."""
    temperature: float = option(0.1, only_for=("published",))
    """Temperature of the soft quantiles, in ranks."""
    slope: float = option(10.0, only_for=("published",))
    """Slope of the mask's sigmoids."""
    projection_dim: int | None = option(None, only_for=("published",))
    """Columns of the random projection before HSIC; None for no projection."""
    form: Literal["linear", "exp"] = option("linear", only_for=("published",))
    """linear: the published description. exp: the published scripts."""
    cotangent: Literal["probabilities", "logits", "margin"] = option(
        "probabilities", only_for=("published",)
    )
    """What the VJP starts from; margin is the log-odds of the decision."""
    mask: Literal["density", "hard", "centred", "area"] = option("density", only_for=("published",))
    """How the foreground is found."""
    area: float = option(0.1, only_for=("published",), only_if=("objective.mask", ("area",)))
    """Wanted mean of the mask, for mask area."""
    alignment: Literal["hsic", "ssim"] = option("hsic", only_for=("published",))
    """The foreground term."""
    background: Literal["variance", "hsic", "magnitude"] = option(
        "variance", only_for=("published",)
    )
    """The background term."""
    estimator: Literal["biased", "unbiased"] = option("biased", only_for=("published",))
    """Estimator of HSIC; the published one is biased."""
    _: KW_ONLY
    kind: Annotated[Literal["published", "calibrated"], tyro.conf.arg(aliases=["--objective"])] = (
        option("calibrated", only_for=SPATIAL_IB)
    )
    """calibrated: shares of the background, which need no tuning; of the options image-weight,
    layer-weight, stage-weight, balance and layer are its own. published: alignment and background
    variance, with the options above, which are the published ones; all recipes have it."""
    image_weight: float = option(0.1, only_for=("calibrated",))
    """calibrated only: of the share of R's energy in the background. A weight is the norm of its
    term's gradient over cross-entropy's."""
    layer_weight: float = option(0.1, only_for=("calibrated",))
    """calibrated only: of the share of the last stage's evidence in the background."""
    stage_weight: float = option(0.1, only_for=("calibrated",))
    """calibrated only: of the mean share of the evidence of the stages between the two."""
    balance: bool = option(True, only_for=("calibrated",))
    """calibrated only: measure the gradients on every eighth batch, so that the weights mean what
    is said above. Without it they are factors of the shares; 0.6, 2 and 2 were chosen in a
    ResNet-18."""
    layer: str | None = option(None, only_for=("calibrated",))
    """calibrated only: the module whose features are the last stage; the architecture's own where
    not given."""


@dataclass(frozen=True)
class RivalConfig:
    """The methods that S-IB is compared with."""

    weight: float = option(1.0, only_for=RIVALS)
    """Of the method's term beside cross-entropy."""
    masked_share: float = option(0.5, only_for=("saliency_guided",))
    """saliency_guided only: share of the pixels that are replaced."""
    at: Literal["final", "input"] = option("final", only_for=("energy",))
    """energy only: where the attribution is taken, at the last stage or at the image."""
    layer: str | None = option(None, only_for=("energy",), only_if=("rival.at", ("final",)))
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
    step_epochs: int = option(30, only_if=("schedule.kind", ("step",)))
    """Epochs between two steps."""
    gamma: float = option(0.1, only_if=("schedule.kind", ("step",)))
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
    crop_area: float = option(0.35, only_if=("input.augment", ("crop",)))
    """Smallest share of the image's area that augment crop keeps."""
    normalization: Normalization = "half"
    """half: mean and deviation 0.5. imagenet: those of ImageNet's colours."""
    drop_last: bool = False
    """Leave out the last training batch of an epoch where it is not full."""
    cache: str = option("auto", resume=True, harmless=True)
    """Keep resized images on disk, where the transform is not random before the flip. auto: in
    ~/.cache/sib where they fit. off: never. Else: the folder to keep them in."""
    background_strength: float = option(0.5, only_if=("data", ("digits",)))
    """digits only, 0 to 1: how strongly the background predicts the class."""
    train_size: int = option(4000, only_if=("data", ("digits",)))
    """digits only: images to train and validate on."""
    test_size: int = option(1000, only_if=("data", ("digits",)))
    """digits only: images to test on."""
