"""Names that options choose among, as types."""

from typing import Literal

from sib.utils.normalization import Normalization as Normalization
from sib.utils.resize import Resize as Resize

Augment = Literal["none", "flip", "crop", "randaugment", "trivial"]
TestSplit = Literal["own", "random"]
"""Where the test split comes from: the data set's own, or drawn by the split seed."""
CROP_AREA = 0.35
"""Smallest share of an image's area that a random crop keeps."""
