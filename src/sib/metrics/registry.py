"""Every metric by name: the single registry from which all lists of metrics are derived.

A new metric takes one file with its function, and one entry in `sib.metrics.built_in`. Other
packages add metrics by a call of `register` or by an entry point.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sib.metrics.built_in import BUILT_IN
from sib.metrics.spec import INPUTS, MetricSpec, needs_of
from sib.utils.errors import InputError
from sib.utils.plugins import load_entry_points

__all__ = [
    "BUILT_IN",
    "GROUP",
    "INPUTS",
    "METRICS",
    "MetricSpec",
    "Registry",
    "needs_of",
    "register",
    "unregister",
]

GROUP = "sib.metrics"
"""The group of entry points through which other packages add metrics."""


class Registry(Mapping[str, MetricSpec]):
    """Metrics by name: the built-in ones, those registered, and those of installed packages.

    The entry points of other packages are loaded when they are first needed.
    """

    def __init__(self, specs: tuple[MetricSpec, ...] = ()) -> None:
        self._specs = {spec.name: spec for spec in specs}
        self._complete = False

    def add(self, spec: MetricSpec) -> None:
        """Add a metric; raise ValueError if its name or class name is taken."""
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
        """Remove a metric; raise ValueError if none has this name."""
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

    Its inputs are read from its function's signature. The positional parameters must have names
    from `INPUTS`; those after ``*`` are options with defaults.

    Args:
        name: a Python name that no other metric has.
        function: (attribution (B, H, W), foreground (B, H, W), …) → values (B,), NaN for an image
            without a value.
        title: column heading; if empty, the name with spaces.
        range: smallest and largest value.
        higher_is_better: direction.
        source: publication.
        class_name: name of the torchmetrics class; if empty, made from ``name``.
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
    """Remove a metric from `METRICS`, for example to register it again in a notebook.

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
