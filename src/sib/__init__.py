"""Train image classifiers whose explanations fall on the object.

Spatial Information Bottleneck (S-IB): arXiv 2511.09239.
"""

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from sib.utils.lazy import attach

if TYPE_CHECKING:
    from sib import data as data
    from sib import explain as explain
    from sib import figures as figures
    from sib import functional as functional
    from sib import metrics as metrics
    from sib import models as models
    from sib import objectives as objectives
    from sib.double_backward import second_order as second_order
    from sib.evaluation.classifier import load as load
    from sib.objectives.base import Objective as Objective
    from sib.objectives.parts import Parts as Parts
    from sib.objectives.parts import Terms as Terms
    from sib.objectives.published import SpatialIB as SpatialIB
    from sib.tasks.accumulate import accumulate as accumulate
    from sib.tasks.graphed import GraphedStep as GraphedStep
    from sib.tasks.output import StepOutput as StepOutput
    from sib.tasks.shorthand import CrossEntropyTask as CrossEntropyTask
    from sib.tasks.shorthand import SpatialIBTask as SpatialIBTask
    from sib.tasks.task import Task as Task
    from sib.utils.errors import InputError as InputError

    SpatialIBTerms, TaskOutput = Terms, StepOutput

try:
    __version__ = version("sib")
except PackageNotFoundError:  # the source is on the path, and nothing is installed
    __version__ = "0+unknown"

# torch takes seconds to load, and `sib --version` and shell completion do without it
if not TYPE_CHECKING:  # a checker would take any name for one of these
    __getattr__, __dir__, __all__ = attach(
        __name__,
        {
            "sib.double_backward": ["second_order"],
            "sib.evaluation.classifier": ["load"],
            "sib.objectives.base": ["Objective"],
            "sib.objectives.parts": ["Parts", "Terms", "SpatialIBTerms=Terms"],
            "sib.objectives.published": ["SpatialIB"],
            "sib.tasks.accumulate": ["accumulate"],
            "sib.tasks.output": ["StepOutput", "TaskOutput=StepOutput"],
            "sib.tasks.shorthand": ["CrossEntropyTask", "SpatialIBTask"],
            "sib.tasks.graphed": ["GraphedStep"],
            "sib.tasks.task": ["Task"],
            "sib.utils.errors": ["InputError"],
        },
        modules=["data", "explain", "figures", "functional", "metrics", "models", "objectives"],
    )
