"""Shared fixtures."""

import pytest

from helpers.pictures import save_classes


@pytest.fixture
def folder(tmp_path):
    """Ten images of two classes."""
    return save_classes(tmp_path / "mine")
