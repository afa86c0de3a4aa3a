"""Metrics of where an explanation lies, whether it is faithful to the model, and of behaviour.

`METRICS` contains all of them by name. Each is a function of tensors and a torchmetrics class that
takes the mean over images. Nothing is loaded until it is used. The functions do not need
torchmetrics, and those that take only a map need only torch.

Example:
    >>> import sib, torch
    >>> foreground = torch.tensor([[[True, False], [False, False]]])
    >>> sib.metrics.foreground_energy(torch.ones(1, 2, 2), foreground).item()
    0.25
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sib.metrics.registry import BUILT_IN, METRICS, MetricSpec, register, unregister

if TYPE_CHECKING:
    from sib.metrics import behaviour as behaviour
    from sib.metrics.blur import gaussian_blur as gaussian_blur
    from sib.metrics.chance import *  # noqa: F403
    from sib.metrics.imputation import impute as impute
    from sib.metrics.localisation import *  # noqa: F403
    from sib.metrics.modules import ImageMean as ImageMean
    from sib.metrics.modules import metric_class as metric_class
    from sib.metrics.perturbation import *  # noqa: F403
    from sib.metrics.randomisation import *  # noqa: F403
    from sib.metrics.removal import *  # noqa: F403
    from sib.metrics.sparseness import *  # noqa: F403
    from sib.metrics.specificity import *  # noqa: F403
    from sib.metrics.stability import *  # noqa: F403
    from sib.metrics.table import MAP_MEASURES as MAP_MEASURES
    from sib.metrics.table import MapMeasure as MapMeasure
    from sib.metrics.untrained import *  # noqa: F403

_PLACES = {
    "ImageMean": "sib.metrics.modules",
    "MAP_MEASURES": "sib.metrics.table",
    "MapMeasure": "sib.metrics.table",
    "Randomisation": "sib.metrics.randomisation",
    "Changes": "sib.metrics.stability",
    "Mosaics": "sib.metrics.specificity",
    "centre_energy": "sib.metrics.chance",
    "chance_corrected": "sib.metrics.chance",
    "even_energy": "sib.metrics.chance",
    "gaussian_blur": "sib.metrics.blur",
    "impute": "sib.metrics.imputation",
    "make_mosaics": "sib.metrics.specificity",
    "map_changes": "sib.metrics.stability",
    "metric_class": "sib.metrics.modules",
    "parameter_randomisation": "sib.metrics.randomisation",
    "perturbation_curve": "sib.metrics.perturbation",
    "road_curve": "sib.metrics.removal",
    "randomised_copy": "sib.metrics.randomisation",
    "rank_correlation": "sib.metrics.randomisation",
}
"""Modules of the public names that are not in the registry."""
_FUNCTIONS = {
    spec.function.partition(":")[2]: spec for spec in BUILT_IN if isinstance(spec.function, str)
}
_CLASSES = [spec.class_name for spec in BUILT_IN]

__all__ = ["METRICS", "MetricSpec", "behaviour", "register", "unregister"]
__all__ += sorted({*_PLACES, *_FUNCTIONS, *_CLASSES})


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    if name in _FUNCTIONS:
        return _FUNCTIONS[name].load()
    if name == "behaviour":
        return import_module("sib.metrics.behaviour")
    if not name.startswith("_") and METRICS.by_class(name):
        return getattr(import_module("sib.metrics.modules"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
