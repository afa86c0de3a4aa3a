"""What a run starts from, and which of its weights are trained."""

from dataclasses import dataclass
from typing import Literal

from sib.config.facts import option
from sib.objectives.registry import METHODS
from sib.utils.errors import InputError
from sib.utils.resize import parse_resize


@dataclass(frozen=True, kw_only=True)
class FineTuningConfig:
    """Options of a run that starts from trained weights; all of them work with random ones too."""

    weights: str | None = None
    """Weights to start from: pretrained (the architecture's own, from torchvision or timm), a file
    (.safetensors, .pt, .pth, .ckpt) or a run folder. They set the normalisation and the image size,
    and a head for other classes starts at random. Default: random weights."""
    batch_norm: Literal["train", "frozen", "auto"] = "auto"
    """train: batch norm uses the statistics of each batch. frozen: it uses its running statistics
    and leaves them unchanged, but its weight and bias are still trained. auto: frozen if the run
    starts from weights, train otherwise."""
    freeze: str = option("none", resume=True, joined=",")
    """What is not trained: none, backbone (all but the head), or names of layers separated by
    commas, such as conv1,layer1. Batch norm in a frozen layer keeps its statistics."""
    unfreeze_after: int | None = option(None, resume=True)
    """Train the frozen layers too after this many epochs, at least 1. Default: never."""
    ema: float | None = None
    """Keep an exponential moving average of the weights with this decay, between 0 and 1, such as
    0.999. It is measured each epoch and saved as ema.safetensors. Default: off."""
    label_smoothing: float = 0.0
    """Share of each label that is spread evenly over all classes, from 0 to below 1."""
    class_weights: Literal["none", "balanced"] = "none"
    """balanced: weight the cross-entropy of each image by N / (K n), for N training images, K
    classes and n images in its class. With several labels an image: weight the images that have
    a label by (N - n) / n. Use it if classes differ much in size."""
    mixup: float = 0.0
    """Mix each image with another of its batch, by shares drawn from Beta(ALPHA, ALPHA). Labels
    become soft, and both foregrounds count. 0: never."""
    cutmix: float = 0.0
    """Paste a box of another image of the batch into each image, its area drawn as for mixup.
    Foregrounds are pasted too. With both, each batch uses one of them. 0: never."""
    early_stopping: int | None = option(None, resume=True)
    """Stop after this many epochs without a better one, at least 1. Default: never."""


def check_fine_tuning(config: FineTuningConfig) -> None:
    """Raise InputError where an option is out of its range, or needs another one."""
    for name in ("unfreeze_after", "early_stopping"):
        value = getattr(config, name)
        if value is not None and value < 1:
            raise InputError(f"--{name.replace('_', '-')} must be at least 1; got {value}")
    if config.unfreeze_after is not None and config.freeze == "none":
        raise InputError("--unfreeze-after needs --freeze, which says what is frozen until then")
    if not config.freeze or not all(config.freeze.split(",")):
        raise InputError(
            "--freeze must be none, backbone or names of layers with commas between them; got "
            f"{config.freeze!r}"
        )
    for name in ("mixup", "cutmix"):
        if not 0 <= getattr(config, name) < float("inf"):
            raise InputError(f"--{name} must be at least 0; got {getattr(config, name)}")
    if config.ema is not None and not 0 < config.ema < 1:
        raise InputError(f"--ema must lie between 0 and 1, both excluded; got {config.ema}")
    if not 0 <= config.label_smoothing < 1:
        raise InputError(
            f"--label-smoothing must be at least 0 and below 1; got {config.label_smoothing}"
        )


def check_mixing(config: FineTuningConfig, method: str) -> None:
    """Raise InputError where images are mixed for a method that explains one class of each."""
    allowed = [name for name, known in METHODS.items() if known.mixes]
    if (config.mixup or config.cutmix) and method not in allowed:
        raise InputError(
            f"--mixup and --cutmix are for --method {', '.join(allowed)}; got {method}"
        )


def check_resize(resize: str) -> None:
    """Raise InputError unless a resize rule of the input is allowed."""
    if resize != "auto":
        parse_resize(resize, "--input.resize")


def check_normalization(normalization: str) -> None:
    """Raise InputError unless a normalisation of the input is allowed."""
    if normalization != "auto":
        from sib.utils.normalization import statistics

        try:
            statistics(normalization)
        except InputError as error:
            raise InputError(f"--input.{error}; or auto") from None
