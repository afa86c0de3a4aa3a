"""Structural similarity against its formula, written out for one window."""

import math

import pytest
import torch

from sib.functional.similarity import ssim


def by_hand(a, b):
    """SSIM of two 11 x 11 images, the only place where the window fits."""
    weights = [
        [math.exp(-((i - 5) ** 2 + (j - 5) ** 2) / 4.5) for j in range(11)] for i in range(11)
    ]
    total = sum(map(sum, weights))

    def mean(values):
        pairs = [(weights[i][j], values[i][j]) for i in range(11) for j in range(11)]
        return sum(w * v for w, v in pairs) / total

    def products(x, y):
        return [[x[i][j] * y[i][j] for j in range(11)] for i in range(11)]

    a, b = a.tolist(), b.tolist()
    ma, mb = mean(a), mean(b)
    va, vb = mean(products(a, a)) - ma**2, mean(products(b, b)) - mb**2
    cov = mean(products(a, b)) - ma * mb
    c1, c2 = 0.01**2, 0.03**2
    return (2 * ma * mb + c1) * (2 * cov + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))


def test_one_window_by_hand():
    a, b = torch.rand(2, 11, 11, dtype=torch.float64)
    assert ssim(a[None, None], b[None, None]).item() == pytest.approx(by_hand(a, b), rel=1e-10)


def test_it_is_the_mean_over_windows_channels_and_images():
    a, b = torch.rand(2, 2, 3, 12, 11, dtype=torch.float64)
    parts = [
        by_hand(a[i, c, row : row + 11], b[i, c, row : row + 11])
        for i in range(2)
        for c in range(3)
        for row in range(2)
    ]
    assert ssim(a, b).item() == pytest.approx(sum(parts) / 12, rel=1e-10)


def test_equal_images_are_fully_similar():
    a = torch.rand(2, 3, 16, 16)
    assert ssim(a, a).item() == pytest.approx(1.0, abs=1e-5)


def test_images_smaller_than_the_window_are_refused():
    with pytest.raises(ValueError, match="at least 11 × 11 pixels"):
        ssim(torch.rand(1, 1, 10, 12), torch.rand(1, 1, 10, 12))
