"""What ``sib data`` and its commands can be asked for."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from sib.config.image_size import ImageSizeOption
from sib.utils.errors import InputError


@dataclass(frozen=True)
class PrepareConfig:
    """Download a published data set, check its checksums and unpack it.

    Archives that already lie in the root are used. An interrupted download continues
    where it stopped.
    """

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
    """cifar100, cub200, stanford_dogs, imagenet or oxford_pet."""
    root: Path = Path("data")
    """Folder for the data sets; it is made."""


@dataclass(frozen=True)
class CheckConfig:
    """Read every image and mask of a data set, and compare its counts with the published ones.

    Exit code 1 where something is wrong.
    """

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
    """cifar100, cub200, stanford_dogs, imagenet, oxford_pet, or a folder of your own."""
    root: Path = Path("data")
    """Folder of the published data sets."""
    masks: str | None = None
    """Folders only: folder of foreground masks, where they do not lie beside the images."""
    mask_ending: str | None = None
    """Folders only: what follows an image's name in its mask's, as _label or .png; or none."""
    annotations: Path | None = None
    """Boxes or masks of a folder's images, as sib train takes them with --input.annotations."""
    workers: int | None = None
    """Processes that read images, 0 for the main one; as many as there are cores if not given."""


@dataclass(frozen=True)
class ShowConfig:
    """Draw a sheet of images with their foregrounds outlined and their classes under them."""

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
    """digits, cifar100, cub200, stanford_dogs, imagenet, oxford_pet, or a folder of your own."""
    out: Path
    """The PNG to write."""
    root: Path = Path("data")
    """Folder of the published data sets."""
    masks: str | None = None
    """Folders only: folder of foreground masks, where they do not lie beside the images."""
    mask_ending: str | None = None
    """Folders only: what follows an image's name in its mask's, as _label or .png; or none."""
    value_range: str | None = None
    """Folders of 16-bit images only, LOW-HIGH: the values that become black and white."""
    annotations: Path | None = None
    """Boxes or masks of a folder's images, as sib train takes them with --input.annotations."""
    split: Literal["train", "validation", "test"] = "train"
    """Which images."""
    count: int = 24
    """How many, 1 to 200."""
    seed: int = 0
    """Of the choice."""
    foreground: Literal["annotation", "pretrained"] = "annotation"
    """What is outlined. annotation: what comes with the images. pretrained: what the network of
    --weights finds in the training images, as sib train --foreground pretrained takes it; how much
    of it lies on annotated objects is printed."""
    arch: str = "resnet18"
    """With pretrained: the architecture, as of sib train."""
    weights: str | None = None
    """With pretrained: pretrained, a file or a run folder, as of sib train."""
    image_size: ImageSizeOption = None
    """With pretrained: as of sib train. Default: what the weights were trained with, or 224."""
    normalization: str = "auto"
    """With pretrained: --input.normalization of sib train."""
    layer: str | None = None
    """With pretrained: --objective.foreground-layer of sib train."""
    area: float | Literal["otsu"] = 0.2
    """With pretrained: --objective.foreground-area of sib train."""
    device: str = "auto"
    """With pretrained: auto, cpu, cuda, cuda:N or mps."""


@dataclass(frozen=True)
class MakeSpuriousConfig:
    """Make a data set that tempts a classifier to look at the background.

    Cuts the objects out of an annotated set and shows them before backgrounds that predict the
    class in training. In the test, background and class are independent. OUT gets train and test
    with a mask beside each image, groups.csv for the accuracy of the worst group, and
    make-spurious.json, which says how it was made.
    """

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]
    """cub200, oxford_pet, or a folder of your own, with foregrounds."""
    out: Path
    """Folder to make; it must not exist or be empty."""
    strength: float = 0.95
    """Share of each class's training images that are shown before a background of its own family, 0
    to 1."""
    backgrounds: Literal["images", "procedural", "both"] = "both"
    """images: other images of the set, their object filled, in families of similar colours.
    procedural: drawn patterns. both: half of the images each."""
    seed: int = 0
    """Of all draws."""
    test_backgrounds: int | None = None
    """Families that each test object is shown before, each once; all where not given, and at most
    10."""
    side: int = 256
    """Shorter side of the images in pixels; smaller ones keep their size."""
    root: Path = Path("data")
    """Where the published data sets stand."""
    masks: str | None = None
    """Folder of foreground masks, where they do not lie beside the images."""
    annotations: Path | None = None
    """Boxes or masks of a folder's images, as sib train takes them with --input.annotations."""

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
