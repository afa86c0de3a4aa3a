"""Quantus, an independent implementation of many metrics of explanations."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def quiet_quantus() -> Iterator[Any]:
    """The package, without its warnings; the test is skipped where it cannot be imported."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import quantus
        except ImportError as error:  # it imports OpenCV, which needs the system's libGL
            pytest.skip(f"Quantus cannot be imported here: {error}")
        yield quantus
