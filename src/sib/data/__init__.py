"""Data sets that yield an image, its label and, where annotated, its foreground."""

from typing import TYPE_CHECKING

from sib.utils.lazy import attach

if TYPE_CHECKING:
    from sib.data.datasets.digits import Digits as Digits
    from sib.data.loader import Loader as Loader
    from sib.data.loader import make_loader as make_loader
    from sib.data.open import Splits as Splits
    from sib.data.open import open_data as open_data
    from sib.data.sample import BadSample as BadSample
    from sib.data.sample import Batch as Batch
    from sib.data.sample import Record as Record
    from sib.data.sample import Sample as Sample
    from sib.data.sample import collate as collate
    from sib.data.source import Source as Source
    from sib.data.transforms import JointTransform as JointTransform

if not TYPE_CHECKING:  # a checker would take any name for one of these
    __getattr__, __dir__, __all__ = attach(
        __name__,
        {
            "sib.data.datasets.digits": ["Digits"],
            "sib.data.loader": ["Loader", "make_loader"],
            "sib.data.open": ["Splits", "open_data"],
            "sib.data.sample": ["BadSample", "Batch", "Record", "Sample", "collate"],
            "sib.data.source": ["Source"],
            "sib.data.transforms": ["JointTransform"],
        },
    )
