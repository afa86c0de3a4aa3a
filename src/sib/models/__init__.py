"""Architectures by name, with a head for any number of classes."""

from sib.models.build import build
from sib.models.catalogue import architectures
from sib.models.small import SmallResNet

__all__ = ["SmallResNet", "architectures", "build"]


def __dir__() -> list[str]:
    return sorted(__all__)
