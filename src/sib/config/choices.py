"""Names that options choose among, as types."""

from typing import Literal

Normalization = Literal["half", "imagenet"]
TestSplit = Literal["own", "random"]
"""Where the test comes from: the data set's own, where it has one, or drawn by the split seed."""
CROP_AREA = 0.35
"""Smallest share of an image's area that a random crop keeps."""
METHOD_TITLES = {
    "sib": "S-IB",
    "ce": "cross-entropy",
    "saliency_guided": "saliency-guided",
    "rrr": "right reasons",
    "energy": "energy loss",
}
"""How tables and figures call each method of training."""
