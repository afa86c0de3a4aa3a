"""Train image classifiers whose explanations fall on the object.

Spatial Information Bottleneck (S-IB): arXiv 2511.09239.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from sib import functional
from sib.double_backward import second_order
from sib.objectives.base import Objective, Parts, Terms
from sib.objectives.published import SpatialIB
from sib.tasks.accumulate import accumulate
from sib.tasks.output import StepOutput
from sib.tasks.task import CrossEntropyTask, SpatialIBTask, Task
from sib.utils.errors import InputError

if TYPE_CHECKING:
    from sib import explain, figures, metrics, models
    from sib.evaluation.classifier import load

try:
    __version__ = version("sib")
except PackageNotFoundError:  # the source is on the path and nothing is installed
    __version__ = "0+unknown"
SpatialIBTerms, TaskOutput = Terms, StepOutput  # their names in sib 0.1

__all__ = [
    "CrossEntropyTask",
    "InputError",
    "Objective",
    "Parts",
    "SpatialIB",
    "SpatialIBTask",
    "SpatialIBTerms",
    "StepOutput",
    "Task",
    "TaskOutput",
    "Terms",
    "accumulate",
    "explain",
    "figures",
    "functional",
    "load",
    "metrics",
    "models",
    "second_order",
]


def __getattr__(name: str) -> Any:
    # captum and torchmetrics take seconds to load, and training needs neither
    if name in ("explain", "figures", "metrics", "models"):
        return import_module(f"sib.{name}")
    if name == "load":
        return import_module("sib.evaluation.classifier").load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
