"""Data sets that yield an image, its label and, where annotated, its foreground."""

from sib.data.datasets.digits import Digits
from sib.data.loader import Loader, make_loader
from sib.data.open import Splits, open_data
from sib.data.sample import BadSample, Batch, Record, Sample, collate
from sib.data.source import Source
from sib.data.transforms import JointTransform

__all__ = [
    "BadSample",
    "Batch",
    "Digits",
    "JointTransform",
    "Loader",
    "Record",
    "Sample",
    "Source",
    "Splits",
    "collate",
    "make_loader",
    "open_data",
]
