"""The options of ``sib predict`` and ``sib export``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from sib.config.checks import check_at_least_one
from sib.config.classifier import NamedClassifierConfig, RunPath
from sib.utils.errors import InputError


@dataclass(frozen=True)
class PredictConfig(NamedClassifierConfig):
    """Predict the classes of images: one line per image, the most probable classes first."""

    run: RunPath
    """Run folder of sib train, or a file of weights (.safetensors, .pt, .pth), which usually needs
    --arch."""
    images: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="IMAGE...")]
    """Images of any size: files, or folders of them."""
    top: int = 3
    """Classes to list for each image, at least 1, the most probable first."""
    out: Path | None = None
    """File for the table. Default: the screen."""
    batch_size: int = 32
    """Images in one pass, at least 1. Lower it if memory runs out."""
    on_bad_image: Literal["error", "skip"] = "error"
    """What to do about an image that cannot be read. error: stop. skip: leave it out, count it and
    list it."""

    def __post_init__(self) -> None:
        """Raise InputError where a value is not allowed."""
        super().__post_init__()
        check_at_least_one("top", self.top)
        check_at_least_one("batch-size", self.batch_size)
        if not self.images:
            raise InputError("sib predict needs at least one image")


@dataclass(frozen=True)
class ExportConfig(NamedClassifierConfig):
    """Write a classifier in a format that runs without sib, checked against the model.

    The exported network takes normalised images (B, 3, S, S), with any B, and gives logits (B, K).
    A JSON file beside it, OUT.json, records the classes, the image size and the normalisation.
    """

    run: RunPath
    """Run folder of sib train, or a file of weights (.safetensors, .pt, .pth), which usually needs
    --arch."""
    format: Literal["onnx", "pt2", "torchscript", "safetensors"]
    """Format of the file. onnx: needs pip install 'sib[onnx]'. pt2: a program of torch.export.
    torchscript: a traced module. safetensors: the weights without the network."""
    out: Path | None = None
    """File to write. Default: the run's or the file's name in the working folder, with the suffix
    .onnx, .pt2, .ts or .safetensors."""
