"""What the commands about trained classifiers can be told."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from sib.config.choices import Normalization, Resize
from sib.config.image_size import ImageSizeOption
from sib.metrics.registry import BUILT_IN, METRICS
from sib.utils.errors import InputError
from sib.utils.image_size import ImageSize, check_size

RunPath = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
DEFAULT = tuple(spec.name for spec in BUILT_IN if spec.default)
"""Metrics that need the map alone."""
DEFAULT_METHODS = (
    *("saliency", "input_x_gradient", "integrated_gradients", "smoothgrad", "guided_backprop"),
    *("gradcam", "gradcam_pp", "layercam", "vjp"),
)
"""Explanation methods for the help; their registry loads torch."""
IN_GALLERY = ("saliency", "gradcam", "vjp")
Runs = Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN...")]
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


@dataclass(frozen=True)
class EvaluateConfig:
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
    weights: Literal["best", "last", "ema"] = "best"
    """Weights of a run folder: those of the best epoch, of the last one, or their average."""
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
    arch: str | None = None
    """Architecture of a file of weights that does not tell it."""
    trust_code: bool = False
    """Import the module that a run or a file names as its own architecture (MODULE:FUNCTION)."""
    classes: Path | None = None
    """Text file of the class names, one a line in the order of the outputs, for weights that do not
    name them."""
    image_size: ImageSizeOption = None
    """Side of the square input, or its height and width as HxW; where not given, the run's or the
    file's own, or that of the architecture's published weights, or 224."""
    resize: Resize | None = None
    """crop, squash or pad, as --input.resize of sib train; the run's own, or crop, where not
    given."""
    normalization: Normalization | None = None
    """half, imagenet or MEAN/STD, such as 0.5,0.5,0.5/0.25,0.25,0.25; where not given, the run's or
    the file's own, or that of the architecture's published weights."""
    out: Path | None = None
    """Folder to write into; the run folder, or NAME-evaluation beside a file of weights."""
    batch_size: int = 32
    """Images in a pass."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:N or mps."""
    workers: int = 0
    """Processes that read images; 0 reads in the main one."""
    attribution: AttributionConfig = field(default_factory=AttributionConfig)

    def __post_init__(self) -> None:
        """Raise InputError where a value is not allowed."""
        check_methods(self.methods)
        check_metrics(self.metrics)
        check_at_least_one("limit", self.limit)
        check_image_size(self.image_size)
        check_normalization(self.normalization)
        check_at_least_one("batch-size", self.batch_size)
        check_attribution(self.attribution)
        if not self.metrics:
            raise InputError("--metrics needs at least one name")


@dataclass(frozen=True)
class ExplainConfig:
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
    weights: Literal["best", "last", "ema"] = "best"
    """Weights of a run folder: those of the best epoch, of the last one, or their average."""
    arch: str | None = None
    """Architecture of a file of weights that does not tell it."""
    trust_code: bool = False
    """Import the module that a run or a file names as its own architecture (MODULE:FUNCTION)."""
    classes: Path | None = None
    """Text file of the class names, one a line in the order of the outputs, for weights that do not
    name them."""
    image_size: ImageSizeOption = None
    """Side of the square input, or its height and width as HxW; where not given, the run's or the
    file's own, or that of the architecture's published weights, or 224."""
    resize: Resize | None = None
    """crop, squash or pad, as --input.resize of sib train; the run's own, or crop, where not
    given."""
    normalization: Normalization | None = None
    """half, imagenet or MEAN/STD, such as 0.5,0.5,0.5/0.25,0.25,0.25; where not given, the run's or
    the file's own, or that of the architecture's published weights."""
    out: Path | None = None
    """Folder for the figures; explanations in the run folder where not given."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:N or mps."""
    attribution: AttributionConfig = field(default_factory=AttributionConfig)

    def __post_init__(self) -> None:
        """Raise InputError where a value is not allowed."""
        check_methods(self.methods)
        check_image_size(self.image_size)
        check_normalization(self.normalization)
        check_attribution(self.attribution)
        if not self.images:
            raise InputError("give at least one image")


@dataclass(frozen=True)
class CompareConfig:
    """Say by how much, and how surely, runs differ on the same images.

    Runs that differ in their seed alone form a group; every group is compared with the first
    run's. Runs that were not evaluated yet are evaluated first.
    """

    runs: Runs
    """Run folders, two or more."""
    metrics: tuple[str, ...] = ()
    """Measures to compare; all that every run has where not given."""
    out: Path = Path("comparison")
    """Folder for comparison.json and scatter.png."""
    resamples: int = 2000
    """Bootstrap replicates."""
    data: str | None = None
    """Data set of runs that must be evaluated; each run's own where not given."""
    device: str = "auto"
    """For runs that must be evaluated: auto, cpu, cuda, cuda:N or mps."""
    trust_code: bool = False
    """Import the module that a run names as its own architecture (MODULE:FUNCTION)."""

    def __post_init__(self) -> None:
        """Raise InputError where a value is not allowed."""
        check_metrics(self.metrics)
        if len(self.runs) < 2:
            raise InputError(f"sib compare needs at least two runs; got {len(self.runs)}")
        check_distinct(self.runs)
        if self.resamples < 100:
            raise InputError(f"--resamples must be at least 100; got {self.resamples}")


@dataclass(frozen=True)
class ReportConfig:
    """Write one self-contained HTML page about runs: figures, images and how to repeat them.

    Runs that were not evaluated yet are evaluated first.
    """

    runs: Runs
    """Run folders, one or more."""
    out: Path = Path("report.html")
    """HTML file to write."""
    images: int = 12
    """Images in the gallery."""
    gallery_runs: int | None = None
    """Most runs in the galleries, the first ones of each group in turn; all where not given."""
    methods: tuple[str, ...] = IN_GALLERY
    """Explanation methods in the gallery."""
    data: str | None = None
    """Where the images lie now; where the run left them if not given."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:N or mps."""
    trust_code: bool = False
    """Import the module that a run names as its own architecture (MODULE:FUNCTION)."""

    def __post_init__(self) -> None:
        """Raise InputError where a value is not allowed."""
        check_methods(self.methods)
        if not self.runs:
            raise InputError("sib report needs at least one run")
        check_distinct(self.runs)
        if not 1 <= self.images <= 200:
            raise InputError(f"--images must lie in 1 to 200; got {self.images}")
        check_at_least_one("gallery-runs", self.gallery_runs)


def check_methods(names: tuple[str, ...]) -> None:
    """Raise InputError unless all names are explanation methods, each given once."""
    if names:
        from sib.explain.registry import method_names

        check_names("methods", names, method_names())


def check_metrics(names: tuple[str, ...]) -> None:
    """Raise InputError unless all names are measures, each given once."""
    check_names("metrics", names, tuple(METRICS))


def check_names(option: str, names: tuple[str, ...], allowed: tuple[str, ...]) -> None:
    """Raise InputError unless all names are allowed and none stands twice."""
    for name in names:
        if name not in allowed:
            raise InputError(f"--{option} must be of {', '.join(allowed)}; got {name!r}")
    if len(set(names)) < len(names):
        raise InputError(f"--{option} names one twice: {' '.join(names)}")


def check_distinct(runs: tuple[Path, ...]) -> None:
    """Raise InputError where a run stands twice."""
    places = [run.resolve() for run in runs]
    for index, place in enumerate(places):
        if place in places[:index]:
            raise InputError(f"{runs[index]} is given twice")


def check_at_least_one(option: str, value: int | None) -> None:
    """Raise InputError unless a number is absent or at least 1."""
    if value is not None and value < 1:
        raise InputError(f"--{option} must be at least 1; got {value}")


def check_normalization(value: Normalization | None) -> None:
    """Raise InputError unless a normalisation is absent or allowed."""
    if value is not None:
        from sib.utils.normalization import statistics

        try:
            statistics(value)
        except InputError as error:
            raise InputError(f"--{error}") from None


def check_attribution(config: AttributionConfig) -> None:
    """Raise InputError unless all numbers are at least 1."""
    for name, value in vars(config).items():
        check_at_least_one(f"attribution.{name}", value)


def check_image_size(size: ImageSize | str | None) -> ImageSize | None:
    """A size that may be absent; InputError where it is none."""
    return None if size is None else check_size(size, "--image-size")
