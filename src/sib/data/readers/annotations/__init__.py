"""Boxes and masks from the files that annotation tools export."""

from sib.data.readers.annotations.entry import Annotation, Found
from sib.data.readers.annotations.find import read_annotations

__all__ = ["Annotation", "Found", "read_annotations"]
