"""The options of ``sib evaluate`` and ``sib explain``."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from sib.config.checks import check_at_least_one, check_methods, check_metrics
from sib.config.classifier import NamedClassifierConfig, RunPath
from sib.metrics.registry import BUILT_IN
from sib.utils.errors import InputError

DEFAULT = tuple(spec.name for spec in BUILT_IN if spec.default)
"""Metrics that need the map alone."""
DEFAULT_METHODS = (
    *("saliency", "input_x_gradient", "integrated_gradients", "smoothgrad", "guided_backprop"),
    *("gradcam", "gradcam_pp", "layercam", "vjp"),
)
"""Explanation methods for the help; their registry loads torch."""
MethodNames = Annotated[
    tuple[str, ...],
    tyro.conf.arg(
        help="Explanation methods; where not given, those of the default ones that the "
        f"architecture can have. Default: {', '.join(DEFAULT_METHODS)}. Also: occlusion, rise, and "
        "those of other packages."
    ),
]


@dataclass(frozen=True)
class AttributionConfig:
    """How maps are computed."""

    steps: int = 8
    """Points on the path of integrated gradients, of Gauss and Legendre."""
    samples: int = 16
    """Noisy copies for SmoothGrad."""
    masks: int = 1000
    """Random masks of RISE, a forward pass each."""
    chunk: int = 64
    """Largest number of images in one pass of the methods that need several passes."""

    def check(self) -> None:
        """Raise InputError unless all numbers are at least 1."""
        for name, value in vars(self).items():
            check_at_least_one(f"attribution.{name}", value)


@dataclass(frozen=True)
class EvaluateConfig(NamedClassifierConfig):
    """Measure where the explanations of a classifier lie, on the test split.

    Writes evaluation.json and evaluation.csv (a line an image) into the run folder.
    """

    run: RunPath
    """Run folder of sib train, or a file of weights (.safetensors, .pt, .pth), which needs --data
    and mostly --arch."""
    methods: MethodNames = ()
    """Explanation methods; the default ones that the architecture can have where not given."""
    metrics: tuple[str, ...] = DEFAULT
    """Metrics by name, those of the map alone where not given; a wrong name lists all there are."""
    target: Literal["predicted", "label"] = "predicted"
    """Which class is explained: the predicted one, or the image's own."""
    split: Literal["test", "validation", "train"] = "test"
    """Images to measure on."""
    limit: int | None = None
    """Measure on this many images, one drawn from each of as many equal parts of the split; always
    the same ones."""
    data: str | None = None
    """Data set; the run's own where not given. A folder that holds the images that the run recorded
    is split as recorded; another one is read as it is."""
    root: Path | None = None
    """Folder of the named data sets; the run's own where not given."""
    masks: str | None = None
    """Folder of foreground masks; the run's own where not given."""
    on_bad_image: Literal["error", "skip"] = "error"
    """An image that cannot be read ends the evaluation, or is left out, counted and listed."""
    annotations: Path | None = None
    """Boxes or masks of a folder's images, as --input.annotations of sib train; the run's own where
    not given."""
    layer: str | None = None
    """Module whose maps class activation maps are made of, such as layer3; where not given, the
    run's own layer, or the architecture's."""
    out: Path | None = None
    """Folder to write into; the run folder, or NAME-evaluation beside a file of weights."""
    batch_size: int = 32
    """Images in a pass."""
    workers: int = 0
    """Processes that read images; 0 reads in the main one."""
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
    """Draw what a classifier looks at in images: one figure for each image."""

    run: RunPath
    """Run folder of sib train, or a file of weights (.safetensors, .pt, .pth), which mostly needs
    --arch."""
    images: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="IMAGE...")]
    """Image files, of any size."""
    methods: MethodNames = ()
    """Explanation methods; the default ones that the architecture can have where not given."""
    target: str | None = None
    """Class to explain, by name or number; the predicted one where not given."""
    normalize: Literal["max", "sum", "percentile"] = "percentile"
    """What maps are divided by before they are drawn; written below the figure."""
    layer: str | None = None
    """Module whose maps class activation maps are made of, such as layer3; where not given, the
    run's own layer, or the architecture's."""
    out: Path | None = None
    """Folder for the figures; explanations in the run folder where not given."""
    attribution: AttributionConfig = field(default_factory=AttributionConfig)

    def __post_init__(self) -> None:
        """Raise InputError where a value is not allowed."""
        super().__post_init__()
        check_methods(self.methods)
        self.attribution.check()
        if not self.images:
            raise InputError("give at least one image")
