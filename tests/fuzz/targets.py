"""Readers of files from strangers, each as a function of bytes, with inputs to start from.

A target may raise InputError; anything else is a crash.
"""

from fuzz import annotations, datasets, pictures, runs
from sib.utils.errors import InputError

TARGETS = pictures.TARGETS | datasets.TARGETS | annotations.TARGETS | runs.TARGETS


def run(name: str, data: bytes) -> bool:
    """Whether a target could read an input; raises what is no InputError."""
    try:
        TARGETS[name].read(data)
    except InputError:
        return False
    return True
