"""Train image classifiers whose explanations fall on the object.

Spatial Information Bottleneck (S-IB): arXiv 2511.09239.
"""

from importlib.metadata import version

from sib import functional
from sib.double_backward import second_order
from sib.errors import InputError
from sib.objective import SpatialIB, SpatialIBTerms
from sib.task import CrossEntropyTask, SpatialIBTask, TaskOutput

__version__ = version("sib")

__all__ = [
    "CrossEntropyTask",
    "InputError",
    "SpatialIB",
    "SpatialIBTask",
    "SpatialIBTerms",
    "TaskOutput",
    "functional",
    "second_order",
]
