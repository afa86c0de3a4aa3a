"""What a run starts from, and which of its weights are trained."""

from dataclasses import dataclass
from typing import Literal

from sib.data.normalization import statistics
from sib.utils.errors import InputError


@dataclass(frozen=True, kw_only=True)
class FineTuningConfig:
    """Options of a run that starts from trained weights; all of them work with random ones too."""

    weights: str | None = None
    """Weights to start from: pretrained (the architecture's own, of torchvision or timm), a file
    (.safetensors, .pt, .pth, .ckpt) or a run folder; random where not given. They bring their
    normalisation and their image size. A head for other classes starts at random."""
    batch_norm: Literal["train", "frozen", "auto"] = "auto"
    """train: batch norm uses the statistics of each batch. frozen: it uses its running statistics,
    which stay as they are; its weight and bias are trained all the same. auto: frozen where the
    run starts from weights, train from random ones."""


def check_normalization(normalization: str) -> None:
    """Raise InputError unless a normalisation of the input is allowed."""
    if normalization != "auto":
        try:
            statistics(normalization)
        except InputError as error:
            raise InputError(f"--input.{error}; or auto") from None
