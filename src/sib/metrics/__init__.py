"""Measures of where an explanation lies."""

from sib.metrics.localisation import foreground_energy

__all__ = ["foreground_energy"]
