"""Names that options choose among, as types."""

from typing import Literal

from sib.utils.normalization import Normalization as Normalization

Augment = Literal["none", "flip", "crop", "randaugment", "trivial"]
Resize = Literal["crop", "squash", "pad"]
"""What brings an image to its size where no random crop does."""
TestSplit = Literal["own", "random"]
"""Where the test comes from: the data set's own, where it has one, or drawn by the split seed."""
CROP_AREA = 0.35
"""Smallest share of an image's area that a random crop keeps."""
