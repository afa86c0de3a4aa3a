"""The metrics that need only a map, under the names of earlier releases."""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from torch import Tensor

from sib.metrics.registry import METRICS, MetricSpec


class MapMeasure(NamedTuple):
    """A metric of a map, and how to read it.

    Example:
        >>> import sib
        >>> sib.metrics.MAP_MEASURES["sparseness"].higher_is_better
        True
    """

    function: Callable[[Tensor, Tensor], Tensor]
    """(attribution, foreground) → (B,)."""
    higher_is_better: bool
    needs_foreground: bool


class _MapMeasures(Mapping[str, MapMeasure]):
    """A view of `METRICS`: those that need neither model nor method."""

    def __getitem__(self, name: str) -> MapMeasure:
        spec = METRICS[name]
        if not is_of_a_map(spec):
            raise KeyError(name)

        def function(attribution: Tensor, foreground: Tensor) -> Tensor:
            values: Tensor = spec(attribution=attribution, foreground=foreground)
            return values

        return MapMeasure(function, spec.higher_is_better, spec.needs_foreground)

    def __iter__(self) -> Iterator[str]:
        return (name for name, spec in METRICS.items() if is_of_a_map(spec))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def is_of_a_map(spec: MetricSpec) -> bool:
    """Whether a metric needs only a map and a foreground."""
    return set(spec.needs) <= {"attribution", "foreground"}


MAP_MEASURES: Mapping[str, MapMeasure] = _MapMeasures()
