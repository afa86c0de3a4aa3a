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
    """One of {data_sets}."""
    root: Path = Path("data")
    """Folder for the data sets; created if missing."""


@dataclass(frozen=True)
class CheckConfig:
    """Read all images and masks of a data set, and compare published counts.

    Exits with code 1 if something is wrong.
    """

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
    """{data_sets}, or a folder of your own."""
    root: Path = Path("data")
    """Folder that holds the published data sets."""
    masks: str | None = None
    """Folder of foreground masks, for a folder of your own. Default: masks beside the images, or a
    folder masks."""
    mask_ending: str | None = None
    """What follows an image's name in its mask's name, such as _label or .png; none if there are no
    masks beside images. Default: the usual endings, such as _mask."""
    annotations: Path | None = None
    """Boxes or masks from an annotation tool, as in sib train --input.annotations. Default:
    none."""
    labels: Path | None = None
    """CSV file with several labels for each image, as in sib train --labels. Default: one class an
    image."""
    workers: int | None = None
    """Processes that read images; 0 reads in the main process. Default: the number of cores."""


@dataclass(frozen=True)
class ShowConfig:
    """Draw a sheet of images, with foregrounds outlined and classes below."""

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
    """digits, {data_sets}, or a folder of your own."""
    out: Path
    """PNG file to write."""
    root: Path = Path("data")
    """Folder that holds the published data sets."""
    masks: str | None = None
    """Folder of foreground masks, for a folder of your own. Default: masks beside the images, or a
    folder masks."""
    mask_ending: str | None = None
    """What follows an image's name in its mask's name, such as _label or .png; none if there are no
    masks beside images. Default: the usual endings, such as _mask."""
    value_range: str | None = None
    """Values that become black and white, as LOW-HIGH, such as 0-4095 for 12-bit values. Default:
    the whole range."""
    annotations: Path | None = None
    """Boxes or masks from an annotation tool, as in sib train --input.annotations. Default:
    none."""
    labels: Path | None = None
    """CSV file with several labels for each image, as in sib train --labels. Default: one class an
    image."""
    split: Literal["train", "validation", "test"] = "train"
    """Images to choose from."""
    on_bad_image: Literal["error", "skip"] = "error"
    """What to do about an image that cannot be read. error: stop. skip: leave it out, count it and
    list it."""
    count: int = 24
    """Images on the sheet, 1 to 200."""
    seed: int = 0
    """Seed that chooses the images."""
    foreground: Literal["annotation", "pretrained"] = "annotation"
    """What is outlined. annotation: what comes with the images. pretrained: what the network of
    --weights finds in the training images, as in sib train --foreground pretrained; how much of it
    lies on annotated objects is printed."""
    arch: str = "resnet18"
    """With --foreground pretrained: the architecture, as in sib train."""
    weights: str | None = None
    """With --foreground pretrained: pretrained, a file or a run folder, as in sib train
    --weights."""
    image_size: ImageSizeOption = option(None, joined="x")
    """With --foreground pretrained: input size in pixels, as in sib train. Default: that of the
    weights' training, or 224."""
    normalization: str = option("auto", joined="/")
    """With --foreground pretrained: as in sib train --input.normalization."""
    layer: str | None = None
    """With --foreground pretrained: as in sib train --objective.foreground-layer. Default: found
    automatically."""
    area: float | Literal["otsu"] = 0.2
    """With --foreground pretrained: share of each image that is foreground, as in sib train
    --objective.foreground-area."""
    device: str = "auto"
    """With --foreground pretrained: auto (a GPU if there is one), cpu, cuda, cuda:N or mps."""


@dataclass(frozen=True)
class MakeSpuriousConfig:
    """Make a data set that tempts a classifier to look at the background.

    Cuts objects out of an annotated set and pastes them in front of backgrounds that predict the
    class in training. In the test split, background and class are independent. OUT gets train and
    test with a mask beside each image, groups.csv for the accuracy of the worst group, and
    make-spurious.json, which records how it was made.
    """

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]
    """Annotated data set: cub200, oxford_pet, or your own folder with foregrounds."""
    out: Path
    """Folder to create; it must be missing or empty."""
    strength: float = 0.95
    """Share of each class's training images that get a background of the class's own family, 0 to
    1. At 1 the background tells the class as well as the object does."""
    backgrounds: Literal["images", "procedural", "both"] = "both"
    """Kind of background. images: other images of the set, with the object filled in, in families
    of similar colours. procedural: drawn patterns. both: half of the images each."""
    seed: int = 0
    """Seed of all draws, at least 0."""
    test_backgrounds: int | None = None
    """Families that each test object is shown before, once each, at least 1. Default: all, at most
    10."""
    side: int = 256
    """Shorter side of the images in pixels, 16 to 4096; smaller images keep their size."""
    root: Path = Path("data")
    """Folder that holds the published data sets."""
    masks: str | None = None
    """Folder of foreground masks. Default: masks beside the images, or a folder masks."""
    annotations: Path | None = None
    """Boxes or masks from an annotation tool, as in sib train --input.annotations. Default:
    none."""
    on_bad_image: Literal["error", "skip"] = "error"
    """What to do about an image that cannot be read. error: stop. skip: leave it out, count it and
    list it."""

    def __post_init__(self) -> None:
        """Raise InputError where a number is out of its range."""
        if not 0 <= self.strength <= 1:
            raise InputError(f"--strength must be from 0 to 1; got {self.strength}")
        if self.seed < 0:
            raise InputError(f"--seed must be at least 0; got {self.seed}")
        if not 16 <= self.side <= 4096:
            raise InputError(f"--side must be from 16 to 4096; got {self.side}")
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
