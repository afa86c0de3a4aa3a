"""Architectures by name, with a head for any number of classes."""

from sib.models.build import architectures, build
from sib.models.small import SmallResNet

__all__ = ["SmallResNet", "architectures", "build"]
