"""The options of ``sib evaluate`` and ``sib explain``."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from sib.config.checks import check_at_least_one, check_methods, check_metrics
from sib.config.classifier import NamedClassifierConfig, RunPath
from sib.explain.built_in import BUILT_IN as EXPLANATIONS
from sib.metrics.registry import BUILT_IN
from sib.utils.errors import InputError

DEFAULT = tuple(spec.name for spec in BUILT_IN if spec.default)
"""Metrics that need only the map."""
DEFAULT_METHODS = tuple(method.name for method in EXPLANATIONS if method.default)
OTHER_METHODS = tuple(method.name for method in EXPLANATIONS if not method.default)
"""Explanation methods that take many passes."""
MethodNames = Annotated[
    tuple[str, ...],
    tyro.conf.arg(
        help=f"Explanation methods; also {' and '.join(OTHER_METHODS)}, which take many passes, "
        "and those of other packages.",
        help_behavior_hint=f"(default: those of {', '.join(DEFAULT_METHODS)} that the architecture "
        "supports)",
    ),
]


@dataclass(frozen=True)
class AttributionConfig:
    """How maps are computed."""

    steps: int = 8
    """Points on the path of integrated gradients (Gauss-Legendre), at least 1. More are slower and
    more exact."""
    samples: int = 16
    """Noisy copies of each image for SmoothGrad, at least 1. More are slower and less noisy."""
    masks: int = 1000
    """Random masks of each image for RISE, at least 1, with one forward pass each. More are slower
    and less noisy."""
    chunk: int = 64
    """Most images in one pass of methods that need several passes, at least 1. Lower it if memory
    runs out."""

    def check(self) -> None:
        """Raise InputError unless all numbers are at least 1."""
        for name, value in vars(self).items():
            check_at_least_one(f"attribution.{name}", value)


@dataclass(frozen=True)
class EvaluateConfig(NamedClassifierConfig):
    """Measure where the explanations of a classifier lie, on the test split.

    Writes evaluation.json and evaluation.csv (one line per image) into the run folder.
    """

    run: RunPath
    """Run folder of sib train, or a file of weights (.safetensors, .pt, .pth), which needs --data
    and usually --arch."""
    methods: MethodNames = ()
    """Explanation methods. Default: the default ones that the architecture supports."""
    metrics: tuple[str, ...] = DEFAULT
    """Metrics by name; a wrong name lists all. Those of the default need only the map; others take
    more passes."""
    target: Literal["predicted", "label"] = "predicted"
    """Class to explain. predicted: the one that is predicted. label: the image's own."""
    split: Literal["test", "validation", "train"] = "test"
    """Images to measure on. Choose settings on validation, and measure on test once."""
    limit: int | None = None
    """Most images to measure, at least 1, spread evenly over the split and always the same. Set it
    for a quick look. Default: all."""
    data: str | None = None
    """Data set or folder. A folder with the images that the run recorded is split as recorded; any
    other is read as it is. Default: the run's own."""
    root: Path | None = None
    """Folder that holds the published data sets. Default: the run's own."""
    masks: str | None = None
    """Folder of foreground masks, named like the images. Default: the run's own."""
    labels: Path | None = None
    """CSV file with several labels for each image, as in sib train --labels. Default: the run's
    own."""
    on_bad_image: Literal["error", "skip"] = "error"
    """What to do about an image that cannot be read. error: stop. skip: leave it out, count it and
    list it."""
    annotations: Path | None = None
    """Boxes or masks from an annotation tool, as in sib train --input.annotations. Default: the
    run's own."""
    layer: str | None = None
    """Module, such as layer3, whose output class activation maps are computed from. Default: the
    run's own layer, or else the architecture's last stage."""
    out: Path | None = None
    """Folder to write into. Default: the run folder, or NAME-evaluation beside a file of
    weights."""
    batch_size: int = 32
    """Images in one pass, at least 1. Lower it if memory runs out."""
    workers: int = 0
    """Processes that read images; 0 reads in the main process. Raise it if reading is slower than
    computing."""
    attribution: AttributionConfig = field(default_factory=AttributionConfig)

    def __post_init__(self) -> None:
        """Raise InputError where a value is not allowed."""
        super().__post_init__()
        check_methods(self.methods)
        check_metrics(self.metrics)
        check_at_least_one("limit", self.limit)
        check_at_least_one("batch-size", self.batch_size)
        self.attribution.check()
        if not self.metrics:
            raise InputError("--metrics needs at least one name")


@dataclass(frozen=True)
class ExplainConfig(NamedClassifierConfig):
    """Draw what a classifier looks at in images, one figure per image."""

    run: RunPath
    """Run folder of sib train, or a file of weights (.safetensors, .pt, .pth), which usually needs
    --arch."""
    images: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="IMAGE...")]
    """Images of any size: files, or folders of them."""
    on_bad_image: Literal["error", "skip"] = "error"
    """What to do about an image that cannot be read. error: stop. skip: leave it out, count it and
    list it."""
    methods: MethodNames = ()
    """Explanation methods. Default: the default ones that the architecture supports."""
    target: str | None = None
    """Class to explain, by name or number. Default: the one that is predicted."""
    normalize: Literal["max", "sum", "percentile"] = "percentile"
    """What each map is divided by. max: its largest magnitude. sum: the sum of its magnitudes.
    percentile: their 99th percentile, so that a few pixels do not darken the rest."""
    layer: str | None = None
    """Module, such as layer3, whose output class activation maps are computed from. Default: the
    run's own layer, or else the architecture's last stage."""
    out: Path | None = None
    """Folder for the figures. Default: explanations in the run folder."""
    attribution: AttributionConfig = field(default_factory=AttributionConfig)

    def __post_init__(self) -> None:
        """Raise InputError where a value is not allowed."""
        super().__post_init__()
        check_methods(self.methods)
        self.attribution.check()
        if not self.images:
            raise InputError("sib explain needs at least one image")
