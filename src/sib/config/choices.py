"""Names that options choose among, as types."""

from typing import Literal

from sib.utils.normalization import Normalization as Normalization

Augment = Literal["none", "flip", "crop", "randaugment", "trivial"]
Resize = Literal["crop", "squash", "pad"]
"""How an image is brought to its size without a random crop."""
TestSplit = Literal["own", "random"]
"""Where the test split comes from: the data set's own, or drawn by the split seed."""
CROP_AREA = 0.35
"""Smallest share of an image's area that a random crop keeps."""
