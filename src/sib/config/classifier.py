"""The options that name a trained classifier, shared by the commands that use one."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from sib.config.checks import check_image_size, check_normalization
from sib.config.choices import Normalization, Resize
from sib.config.facts import option
from sib.config.image_size import ImageSizeOption
from sib.utils.resize import parse_resize

RunPath = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
Runs = Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN...")]


@dataclass(frozen=True, kw_only=True)
class ClassifierConfig:
    """Which weights, of which network, for which images, on which device."""

    weights: Literal["best", "last", "ema"] = "best"
    """Which weights of a run folder. best: those of the best epoch. last: of the last epoch. ema:
    their running average, if the run kept one."""
    arch: str | None = None
    """Architecture of a file of weights that does not name it: a torchvision name, timm/NAME or
    MODULE:FUNCTION."""
    trust_code: bool = False
    """Allow importing MODULE if the architecture is your own MODULE:FUNCTION; that runs its
    code."""
    image_size: ImageSizeOption = option(None, joined="x")
    """Input size in pixels, the side of a square or HxW. Give the one that the network was trained
    with. Default: the run's or the file's own, that of the architecture's published weights, or
    224."""
    resize: Resize | None = None
    """How images are brought to that size: crop, squash or pad, as in sib train --input.resize.
    Default: the run's or the file's own, that of the architecture's published weights, or crop."""
    normalization: Normalization | None = option(None, joined="/")
    """Normalisation that the network was trained with: half, imagenet or MEAN/STD, such as
    0.5,0.5,0.5/0.25,0.25,0.25. Default: the run's or the file's own, or that of the architecture's
    published weights."""
    device: str = "auto"
    """Where to compute: auto (a GPU if there is one), cpu, cuda, cuda:N or mps."""

    def __post_init__(self) -> None:
        """Raise InputError where a value is not allowed."""
        check_image_size(self.image_size)
        check_normalization(self.normalization)
        if self.resize is not None:
            parse_resize(self.resize, "--resize")


@dataclass(frozen=True, kw_only=True)
class NamedClassifierConfig(ClassifierConfig):
    """The same for commands that need class names."""

    classes: Path | None = None
    """File with the class names in the order of the outputs, for weights that do not name them: one
    per line, or JSON, also the config.json of a Hugging Face model."""
