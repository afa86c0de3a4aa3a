"""Train image classifiers whose explanations fall on the object.

Spatial Information Bottleneck (S-IB): arXiv 2511.09239.
"""

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from sib.utils.lazy import attach

if TYPE_CHECKING:
    from sib import data as data
    from sib import explain as explain
    from sib import functional as functional
    from sib import metrics as metrics
    from sib import models as models
    from sib.double_backward import second_order as second_order
    from sib.objectives.published import SpatialIB as SpatialIB
    from sib.objectives.published import SpatialIBTerms as SpatialIBTerms
    from sib.tasks.accumulate import accumulate as accumulate
    from sib.tasks.plain import CrossEntropyTask as CrossEntropyTask
    from sib.tasks.plain import TaskOutput as TaskOutput
    from sib.tasks.task import SpatialIBTask as SpatialIBTask
    from sib.utils.errors import InputError as InputError

try:
    __version__ = version("sib")
except PackageNotFoundError:  # the source is on the path, and nothing is installed
    __version__ = "0+unknown"

# torch takes seconds to load, and `sib --version` and shell completion do without it
__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "sib.double_backward": ["second_order"],
        "sib.objectives.published": ["SpatialIB", "SpatialIBTerms"],
        "sib.tasks.accumulate": ["accumulate"],
        "sib.tasks.plain": ["CrossEntropyTask", "TaskOutput"],
        "sib.tasks.task": ["SpatialIBTask"],
        "sib.utils.errors": ["InputError"],
    },
    modules=["data", "explain", "functional", "metrics", "models"],
)
