"""The options that most training runs are given; `sib train --help` shows them first."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from sib.config.facts import option
from sib.config.image_size import ImageSizeOption
from sib.objectives.registry import METHODS


@dataclass(frozen=True)
class MainOptions:
    """What is trained on which images, how long and where to."""

    recipe: Annotated[tyro.conf.Positional[str | None], tyro.conf.arg(metavar="[RECIPE]")] = option(
        None, harmless=True
    )
    """Published recipe, such as cub200/resnet50; sib recipes lists them. It sets the data, the
    architecture and the schedule. Options that you give override it."""
    data: str = ""
    """Folder of images, FOLDER/train/CLASS/*.jpg and FOLDER/test/CLASS/*.jpg, or
    FOLDER/CLASS/*.jpg; or a named data set: digits (built in), or one of {data_sets}, below --root.
    Default: the recipe's own."""
    arch: str = "resnet18"
    """Architecture: small_resnet, any torchvision classifier, timm/NAME, or your own as
    MODULE:FUNCTION, a function that takes the number of classes."""
    method: Annotated[str, tyro.conf.arg(metavar=f"{{{','.join(METHODS)}}}")] = "sib"
    """Training method. sib: cross-entropy plus the S-IB terms. ce: cross-entropy alone, the
    baseline. saliency_guided (Ismail et al. 2021) and cgc (contrastive Grad-CAM consistency, Pillai
    et al. 2022) need no annotation either. rrr (right for the right reasons, Ross et al. 2017) and
    energy (Rao et al. 2023) need foregrounds. Methods of other packages can be named, too."""
    out: Path | None = option(None, resume=True, harmless=True)
    """Run folder. Default: runs/DATA-ARCH-METHOD-SEED."""
    image_size: ImageSizeOption = option(None, joined="x")
    """Side of the square input in pixels, or height and width as HxW. Default: 48 for digits, the
    size that the start weights were trained with, or 224."""
    epochs: int = option(30, resume=True)
    """Passes over the training images, at least 1."""
    batch_size: int = 32
    """Images in a step of one process; N processes take N times as many. If memory runs out, try
    --micro-batch first."""
    seed: int = 0
    """Seed of the weights, the order of the images and the augmentation, at least 0."""
    device: str = option("auto", resume=True, harmless=True)
    """Device: auto, cpu, cuda, cuda:N or mps."""
    resume: bool = option(False, resume=True, harmless=True)
    """Continue from the last saved step of the run folder. These may change: epochs, out,
    root, device, workers, micro-batch, checkpoint, cuda-graph, save-every-steps, on-bad-image,
    bad-steps, freeze, unfreeze-after, early-stopping, track, input.cache."""
    dry_run: bool = option(False, resume=True, harmless=True)
    """Check everything, print how long the run would take and how much memory, and stop. Nothing is
    trained or saved."""
