"""Fixtures of the tests of data."""

import numpy as np
import pytest

from helpers.pictures import save, save_classes, square_mask


@pytest.fixture
def noisy_images(tmp_path):
    """Two classes of six noisy images, some with a mask: none, one, an empty one."""
    root = save_classes(tmp_path / "set", count=6)
    generator = np.random.default_rng(0)
    for path in sorted(root.rglob("*.png")):
        save(path, generator.integers(0, 256, (31, 44, 3), dtype=np.uint8))
    for number, value in ((0, 255), (1, 0), (3, 1)):
        save(root / "cat" / f"{number}_mask.png", square_mask(value, 31, 44))
    return root
