"""Every metric by name: one table, from which all lists of metrics derive.

A new metric is one file with its function, and one `MetricSpec` in `BUILT_IN`. The table holds the
place of each function, not the function itself, so that reading it loads neither torch nor
torchmetrics.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from inspect import Parameter, signature
from typing import Any

from sib.utils.errors import InputError
from sib.utils.plugins import load_entry_points

INPUTS = ("model", "images", "attribution", "targets", "foreground", "method")
"""What a metric can ask for, by the names of its function's parameters."""
GROUP = "sib.metrics"
"""The group of entry points through which other packages add metrics."""


@dataclass(frozen=True)
class MetricSpec:
    """A metric, what it needs, and how to read it."""

    name: str
    """In options, files and tables, such as ``"pointing_game"``."""
    title: str
    """Short form for the head of a column."""
    function: str | Callable[..., Any]
    """Values (B,) of a batch, NaN for an image without one; or its place, ``"module:name"``."""
    needs: tuple[str, ...] = ()
    """Names from `INPUTS`; read from the function's positional parameters where empty."""
    range: tuple[float, float] = (-math.inf, math.inf)
    """Smallest and largest value."""
    higher_is_better: bool = True
    source: str = "own"
    """Publication, or ``"own"``."""
    class_name: str = ""
    """Name of its torchmetrics class; made from ``name`` where empty."""
    default: bool = False
    """Whether ``sib evaluate`` computes it without being asked; counts for built-in ones alone."""
    differentiable: bool = False
    """Whether its values have a gradient with respect to the attribution."""

    def __post_init__(self) -> None:
        """Raise ValueError where a field is not allowed."""
        if not self.name.isidentifier():
            raise ValueError(f"the name of a metric must be a Python name; got {self.name!r}")
        if not self.needs and callable(self.function):
            object.__setattr__(self, "needs", needs_of(self.function))
        unknown = [name for name in self.needs if name not in INPUTS]
        if unknown or not self.needs:
            raise ValueError(
                f"metric {self.name} must need one or more of {', '.join(INPUTS)}; got "
                f"{', '.join(unknown) or 'nothing'}"
            )
        if not self.range[0] < self.range[1]:
            raise ValueError(f"metric {self.name} must have range (low, high); got {self.range}")
        if not self.class_name:
            camel = "".join(word.capitalize() for word in self.name.split("_"))
            object.__setattr__(self, "class_name", camel)

    @property
    def needs_foreground(self) -> bool:
        """Whether it has values only where the foreground is known."""
        return "foreground" in self.needs

    @property
    def needs_model(self) -> bool:
        """Whether it runs the classifier, and so costs more than a look at the map."""
        return "model" in self.needs

    def load(self) -> Callable[..., Any]:
        """The function itself, imported where it is given by its place."""
        if callable(self.function):
            return self.function
        module, _, name = self.function.partition(":")
        found: Callable[..., Any] = getattr(import_module(module), name)
        return found

    def __call__(self, **inputs: Any) -> Any:
        """The values (B,), from inputs of which only the needed ones are used."""
        return self.load()(**{name: inputs[name] for name in self.needs})


_LOCAL = "sib.metrics.localisation"
_MAP, _PLACED = ("attribution",), ("attribution", "foreground")
_PERTURBED = ("model", "images", "attribution", "targets")
_EXPLAINED = ("model", "images", "targets", "method")

BUILT_IN = (
    MetricSpec(
        "energy_pointing_game", "energy", f"{_LOCAL}:foreground_energy", _PLACED, (0, 1), True,
        "Wang et al. 2020, Score-CAM", "EnergyPointingGame", True, True,
    ),
    MetricSpec(
        "background_leakage", "leakage", f"{_LOCAL}:background_leakage", _PLACED, (0, 100), False,
        "own; compare Kohlbrenner et al. 2020", "BackgroundLeakage", True, True,
    ),
    MetricSpec(
        "pointing_game", "pointing", f"{_LOCAL}:pointing_game", _PLACED, (0, 1), True,
        "Zhang et al. 2018, excitation backprop", "PointingGame", True,
    ),
    MetricSpec(
        "top_pixel_iou", "top IoU", f"{_LOCAL}:top_pixel_iou", _PLACED, (0, 1), True,
        "Rao et al. 2023", "TopPixelIoU", True,
    ),
    MetricSpec(
        "relevance_rank_accuracy", "rank", f"{_LOCAL}:relevance_rank_accuracy", _PLACED, (0, 1),
        True, "Arras et al. 2022, CLEVR-XAI", "RelevanceRankAccuracy", True,
    ),
    MetricSpec(
        "sparseness", "sparse", "sib.metrics.sparseness:gini_sparseness", _MAP, (0, 1), True,
        "Chalasani et al. 2020", "Sparseness", True, True,
    ),
    MetricSpec(
        "insertion_area", "insertion", "sib.metrics.perturbation:insertion_area", _PERTURBED,
        (0, 1), True, "Petsiuk et al. 2018, RISE", "InsertionArea",
    ),
    MetricSpec(
        "deletion_area", "deletion", "sib.metrics.perturbation:deletion_area", _PERTURBED,
        (0, 1), False, "Petsiuk et al. 2018, RISE", "DeletionArea",
    ),
    MetricSpec(
        "parameter_randomisation", "random", "sib.metrics.randomisation:full_randomisation",
        _EXPLAINED, (-1, 1), False, "Adebayo et al. 2018, Sanity checks", "ParameterRandomisation",
    ),
    MetricSpec(
        "energy_gain", "gain", "sib.metrics.chance:energy_gain", _PLACED, (-math.inf, 1), True,
        "Wang et al. 2020; Cohen 1960", differentiable=True,
    ),
    MetricSpec(
        "energy_gain_over_centre", "gain over centre",
        "sib.metrics.chance:energy_gain_over_centre", _PLACED, (-math.inf, 1), True,
        "Wang et al. 2020; Judd et al. 2009", differentiable=True,
    ),
    MetricSpec(
        "energy_gain_over_untrained", "gain over untrained",
        "sib.metrics.untrained:energy_gain_over_untrained",
        ("model", "images", "attribution", "targets", "foreground", "method"), (-math.inf, 1),
        True, "Wang et al. 2020; Adebayo et al. 2018",
    ),
    MetricSpec(
        "grid_pointing_game", "grid", "sib.metrics.specificity:grid_pointing_game", _EXPLAINED,
        (0, 1), True, "Böhle et al. 2021; Rao et al. 2022, GridPG",
    ),
    MetricSpec(
        "class_correlation", "other class", "sib.metrics.specificity:class_correlation",
        _EXPLAINED, (-1, 1), False, "Rebuffi et al. 2020",
    ),
    MetricSpec(
        "road_most_relevant", "ROAD most", "sib.metrics.removal:road_most_relevant", _PERTURBED,
        (0, 1), False, "Rong et al. 2022, ROAD",
    ),
    MetricSpec(
        "road_least_relevant", "ROAD least", "sib.metrics.removal:road_least_relevant",
        _PERTURBED, (0, 1), True, "Rong et al. 2022, ROAD",
    ),
    MetricSpec(
        "map_sensitivity", "sensitivity", "sib.metrics.stability:map_sensitivity", _EXPLAINED,
        (0, math.inf), False, "Yeh et al. 2019",
    ),
    MetricSpec(
        "local_lipschitz", "Lipschitz", "sib.metrics.stability:local_lipschitz", _EXPLAINED,
        (0, math.inf), False, "Alvarez-Melis & Jaakkola 2018",
    ),
)  # fmt: skip


class Registry(Mapping[str, MetricSpec]):
    """Metrics by name: the built-in ones, those registered, and those of installed packages.

    The entry points of other packages are loaded when they are first needed.
    """

    def __init__(self, specs: tuple[MetricSpec, ...] = ()) -> None:
        self._specs = {spec.name: spec for spec in specs}
        self._complete = False

    def add(self, spec: MetricSpec) -> None:
        """Add a metric; raise ValueError where its name or class name is taken."""
        self._load_others()
        for other in self._specs.values():
            if spec.name == other.name:
                raise InputError(f"there is already a metric named {spec.name}")
            if spec.class_name == other.class_name:
                raise InputError(
                    f"metric {spec.name} needs another class name: {spec.class_name} is that of "
                    f"{other.name}"
                )
        self._specs[spec.name] = spec

    def remove(self, name: str) -> None:
        """Remove a metric; raise ValueError where there is none of that name."""
        if name not in self:
            raise ValueError(f"there is no metric named {name}")
        del self._specs[name]

    def by_class(self, class_name: str) -> MetricSpec | None:
        """The metric whose torchmetrics class has this name, or None."""
        return next((spec for spec in self.values() if spec.class_name == class_name), None)

    def __getitem__(self, name: str) -> MetricSpec:
        if name not in self._specs:
            self._load_others()
        return self._specs[name]

    def __iter__(self) -> Iterator[str]:
        self._load_others()
        return iter(self._specs)

    def __len__(self) -> int:
        self._load_others()
        return len(self._specs)

    def _load_others(self) -> None:
        if self._complete:
            return
        self._complete = True  # before loading, which may register metrics itself
        try:
            for name, spec in load_entry_points(GROUP).items():
                if not isinstance(spec, MetricSpec):
                    raise InputError(
                        f"entry point {name!r} in {GROUP} must be a sib.metrics.MetricSpec; got "
                        f"a {type(spec).__name__}"
                    )
                self.add(spec)
        except Exception:
            self._complete = False
            raise


METRICS = Registry(BUILT_IN)
"""All metrics, by name."""


def register(
    name: str,
    function: Callable[..., Any],
    *,
    title: str = "",
    range: tuple[float, float] = (-math.inf, math.inf),
    higher_is_better: bool = True,
    source: str = "own",
    class_name: str = "",
    differentiable: bool = False,
) -> MetricSpec:
    """Add a metric under a name, for ``sib evaluate --metrics`` and as a torchmetrics class.

    What it needs is read from its function: the parameters that can be given by position must be
    named as `INPUTS`; those after ``*`` are options with defaults.

    Args:
        name: a Python name that no other metric has.
        function: (attribution (B, H, W), foreground (B, H, W), …) → values (B,), NaN for an image
            without a value.
        title: head of its column; the name with spaces where empty.
        range: smallest and largest value.
        higher_is_better: direction.
        source: publication.
        class_name: name of the torchmetrics class; made from ``name`` where empty.
        differentiable: whether the values have a gradient with respect to the attribution.

    Returns:
        Its `MetricSpec`, now in `METRICS`.

    Raises:
        ValueError: the name is taken, or a parameter of the function is not allowed.

    Example:
        >>> import sib
        >>> def peak(attribution):
        ...     return attribution.flatten(1).amax(dim=1)
        >>> sib.metrics.register("peak", peak).needs
        ('attribution',)
        >>> sib.metrics.unregister("peak")
    """
    options: dict[str, Any] = {
        "range": range,
        "higher_is_better": higher_is_better,
        "source": source,
        "class_name": class_name,
        "differentiable": differentiable,
    }
    spec = MetricSpec(name, title or name.replace("_", " "), function, **options)
    METRICS.add(spec)
    return spec


def unregister(name: str) -> None:
    """Remove a metric from `METRICS`, such as one to be registered again in a notebook.

    Raises:
        ValueError: there is no metric of that name.

    Example:
        >>> import sib
        >>> spec = sib.metrics.register("peak", lambda attribution: attribution.amax((1, 2)))
        >>> sib.metrics.unregister("peak")
        >>> "peak" in sib.metrics.METRICS
        False
    """
    METRICS.remove(name)


def needs_of(function: Callable[..., Any]) -> tuple[str, ...]:
    """Names of the parameters that can be given by position."""
    kinds = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    parameters = signature(function).parameters.values()
    return tuple(parameter.name for parameter in parameters if parameter.kind in kinds)
