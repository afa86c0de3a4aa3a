"""The contract of an objective whose step can be compiled into one graph."""

from abc import abstractmethod

from torch import Tensor

from sib.objectives.base import Parts
from sib.objectives.spatial_ib import SpatialIBObjective


class CompilableObjective(SpatialIBObjective):
    """An objective whose parts depend on the model only through R, so that one graph holds a step.

    `Task.compile` supports objectives of this class alone; ``weighting`` and ``guidance`` are as in
    `SpatialIBObjective`.
    """

    cotangent: str
    """What the VJP R starts from; see `functional.reconstruct`."""

    @abstractmethod
    def parts_of(self, R: Tensor, images: Tensor, foreground: Tensor | None = None) -> Parts:
        """What the terms need from each image, given R and the images, both (B, C, H, W)."""

    @property
    def terms_are_compilable(self) -> bool:
        """Whether the terms neither draw random numbers nor need other processes."""
        return True
