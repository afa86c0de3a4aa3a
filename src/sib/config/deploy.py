"""What the commands that use a trained classifier can be told."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from sib.config.choices import Normalization, Resize
from sib.config.evaluate import (
    RunPath,
    check_at_least_one,
    check_image_size,
    check_normalization,
)
from sib.config.image_size import ImageSizeOption
from sib.utils.errors import InputError


@dataclass(frozen=True, kw_only=True)
class ClassifierConfig:
    """Which classifier."""

    weights: Literal["best", "last", "ema"] = "best"
    """Weights of a run folder: those of the best epoch, of the last one, or their average."""
    arch: str | None = None
    """Architecture of a file of weights that does not tell it."""
    trust_code: bool = False
    """Import the module that a run or a file names as its own architecture (MODULE:FUNCTION)."""
    image_size: ImageSizeOption = None
    """Side of the square input, or its height and width as HxW; where not given, the run's or the
    file's own, or that of the architecture's published weights, or 224."""
    resize: Resize | None = None
    """crop, squash or pad, as --input.resize of sib train; the run's own, or crop, where not
    given."""
    normalization: Normalization | None = None
    """half, imagenet or MEAN/STD, such as 0.5,0.5,0.5/0.25,0.25,0.25; where not given, the run's or
    the file's own, or that of the architecture's published weights."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:N or mps."""

    def __post_init__(self) -> None:
        """Raise InputError where a value is not allowed."""
        check_image_size(self.image_size)
        check_normalization(self.normalization)


@dataclass(frozen=True)
class PredictConfig(ClassifierConfig):
    """Say which classes images show: a line an image, with the most probable classes."""

    run: RunPath
    """Run folder of sib train, or a file of weights, which mostly needs --arch."""
    images: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="IMAGE...")]
    """Image files of any size, or folders of them."""
    top: int = 3
    """Classes to name for each image, the most probable first."""
    table_format: Literal["table", "csv", "json"] = "table"
    """table, for reading. csv and json hold the same numbers in full."""
    out: Path | None = None
    """File to write the table into; the screen where not given."""
    batch_size: int = 32
    """Images in a pass."""

    def __post_init__(self) -> None:
        """Raise InputError where a value is not allowed."""
        super().__post_init__()
        check_at_least_one("top", self.top)
        check_at_least_one("batch-size", self.batch_size)
        if not self.images:
            raise InputError("give at least one image")


@dataclass(frozen=True)
class ExportConfig(ClassifierConfig):
    """Write a classifier in a format that runs without sib, checked against the model.

    The exported network takes normalised images (B, 3, S, S), with any B, and gives logits (B, K).
    A file of facts beside it, OUT.json, holds classes, image size and normalisation.
    """

    run: RunPath
    """Run folder of sib train, or a file of weights, which mostly needs --arch."""
    format: Literal["onnx", "pt2", "torchscript", "safetensors"]
    """onnx: needs pip install 'sib[onnx]'. pt2: torch.export. torchscript: torch.jit.trace.
    safetensors: the weights alone."""
    out: Path | None = None
    """File to write; NAME.onnx, NAME.pt2, NAME.ts or NAME.safetensors in the working folder where
    not given, with the run's or the file's name."""
