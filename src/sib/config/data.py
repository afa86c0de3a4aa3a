"""The options of the ``sib data`` commands."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from sib.config.facts import option
from sib.config.image_size import ImageSizeOption
from sib.utils.errors import InputError


@dataclass(frozen=True)
class PrepareConfig:
    """Download a published data set, check its checksums and unpack it.

    Archives that are already in the root are used. An interrupted download continues where it
    stopped.
    """

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
    """cifar100, cub200, stanford_dogs, imagenet or oxford_pet."""
    root: Path = Path("data")
    """Folder for the data sets; created if missing."""


@dataclass(frozen=True)
class CheckConfig:
    """Read all images and masks of a data set, and compare published counts.

    Exits with code 1 if something is wrong.
    """

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
    """cifar100, cub200, stanford_dogs, imagenet, oxford_pet, or a folder of your own."""
    root: Path = Path("data")
    """Folder of the published data sets."""
    masks: str | None = None
    """Folders only: folder of foreground masks. Default: beside the images."""
    mask_ending: str | None = None
    """Folders only: what follows an image's name in its mask's name, such as _label or .png; or
    none."""
    annotations: Path | None = None
    """Boxes or masks of a folder's images, as in sib train --input.annotations."""
    labels: Path | None = None
    """A CSV of several labels an image, as in sib train --labels."""
    workers: int | None = None
    """Processes that read images; 0 reads in the main process. Default: the number of cores."""


@dataclass(frozen=True)
class ShowConfig:
    """Draw a sheet of images, with foregrounds outlined and classes below."""

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
    """digits, cifar100, cub200, stanford_dogs, imagenet, oxford_pet, or a folder of your own."""
    out: Path
    """PNG to write."""
    root: Path = Path("data")
    """Folder of the published data sets."""
    masks: str | None = None
    """Folders only: folder of foreground masks. Default: beside the images."""
    mask_ending: str | None = None
    """Folders only: what follows an image's name in its mask's name, such as _label or .png; or
    none."""
    value_range: str | None = None
    """Folders only: the values that become black and white, as LOW-HIGH."""
    annotations: Path | None = None
    """Boxes or masks of a folder's images, as in sib train --input.annotations."""
    labels: Path | None = None
    """A CSV of several labels an image, as in sib train --labels."""
    split: Literal["train", "validation", "test"] = "train"
    """Which images."""
    on_bad_image: Literal["error", "skip"] = "error"
    """An image that cannot be read ends the command, or is left out, counted and listed."""
    count: int = 24
    """Number of images, 1 to 200."""
    seed: int = 0
    """Seed of the choice of images."""
    foreground: Literal["annotation", "pretrained"] = "annotation"
    """What is outlined. annotation: what comes with the images. pretrained: what the network of
    --weights finds in the training images, as in sib train --foreground pretrained. How much of it
    lies on annotated objects is printed."""
    arch: str = "resnet18"
    """With pretrained: the architecture, as in sib train."""
    weights: str | None = None
    """With pretrained: pretrained, a file or a run folder, as in sib train."""
    image_size: ImageSizeOption = option(None, joined="x")
    """With pretrained: as in sib train. Default: the size of the weights' training, or 224."""
    normalization: str = option("auto", joined="/")
    """With pretrained: as sib train --input.normalization."""
    layer: str | None = None
    """With pretrained: as sib train --objective.foreground-layer."""
    area: float | Literal["otsu"] = 0.2
    """With pretrained: as sib train --objective.foreground-area."""
    device: str = "auto"
    """With pretrained: auto, cpu, cuda, cuda:N or mps."""


@dataclass(frozen=True)
class MakeSpuriousConfig:
    """Make a data set that tempts a classifier to look at the background.

    Cuts objects out of an annotated set and pastes them before backgrounds that predict the class
    in training. In the test split, background and class are independent. OUT gets train and test
    with a mask beside each image, groups.csv for the accuracy of the worst group, and
    make-spurious.json, which records how it was made.
    """

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]
    """Annotated data set: cub200, oxford_pet, or your own folder with foregrounds."""
    out: Path
    """Folder to create; it must be missing or empty."""
    strength: float = 0.95
    """Share of each class's training images that get a background of the class's own family, 0 to
    1."""
    backgrounds: Literal["images", "procedural", "both"] = "both"
    """images: other images of the set, with the object filled in, in families of similar colours.
    procedural: drawn patterns. both: half of the images each."""
    seed: int = 0
    """Seed of all draws."""
    test_backgrounds: int | None = None
    """Families that each test object is shown before, once each, at least 1. Default: all, at most
    10."""
    side: int = 256
    """Shorter side of the images in pixels, 16 to 4096; smaller images keep their size."""
    root: Path = Path("data")
    """Folder of the published data sets."""
    masks: str | None = None
    """Folder of foreground masks. Default: beside the images."""
    annotations: Path | None = None
    """Boxes or masks of a folder's images, as in sib train --input.annotations."""
    on_bad_image: Literal["error", "skip"] = "error"
    """An image that cannot be read ends the command, or is left out, counted and listed."""

    def __post_init__(self) -> None:
        """Raise InputError where a number is out of its range."""
        if not 0 <= self.strength <= 1:
            raise InputError(f"--strength must lie in 0 to 1; got {self.strength}")
        if self.seed < 0:
            raise InputError(f"--seed must be at least 0; got {self.seed}")
        if not 16 <= self.side <= 4096:
            raise InputError(f"--side must lie in 16 to 4096; got {self.side}")
        if self.test_backgrounds is not None and self.test_backgrounds < 1:
            raise InputError(f"--test-backgrounds must be at least 1; got {self.test_backgrounds}")


@dataclass(frozen=True)
class DataConfig:
    """Prepare, check, show or make a data set."""

    command: tyro.conf.OmitArgPrefixes[
        Annotated[PrepareConfig, tyro.conf.subcommand("prepare", prefix_name=False)]
        | Annotated[CheckConfig, tyro.conf.subcommand("check", prefix_name=False)]
        | Annotated[ShowConfig, tyro.conf.subcommand("show", prefix_name=False)]
        | Annotated[MakeSpuriousConfig, tyro.conf.subcommand("make-spurious", prefix_name=False)]
    ]
