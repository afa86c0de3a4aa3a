"""Imputation and blur: by hand, against dense and foreign references, what is refused."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.transforms.v2.functional import gaussian_blur as torchvision_blur

from helpers.quantus import quiet_quantus
from sib.metrics.blur import gaussian_blur
from sib.metrics.imputation import impute


def case(height=7, width=6, share=0.5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(2, 3, height, width, generator=generator, dtype=torch.float64)
    removed = torch.rand(2, 1, height, width, generator=generator) < share
    removed[:, :, 0, 0] = False
    return images, removed


def slow(image, removed):
    """The dense system, pixel by pixel."""
    _, height, width = image.shape
    places = [tuple(place) for place in removed.nonzero().tolist()]
    A = torch.zeros(len(places), len(places), dtype=torch.float64)
    b = torch.zeros(len(places), len(image), dtype=torch.float64)
    for i, (y, x) in enumerate(places):
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                v, u = y + dy, x + dx
                if (dy, dx) == (0, 0) or not (0 <= v < height and 0 <= u < width):
                    continue
                weight = 1 / 12 if dy and dx else 1 / 6
                A[i, i] += weight
                if (v, u) in places:
                    A[i, places.index((v, u))] -= weight
                else:
                    b[i] += weight * image[:, v, u]
    result = image.clone()
    result[:, removed] = torch.linalg.solve(A, b).T
    return result


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 1.0])
def test_equals_a_dense_solution(share):
    images, removed = case(share=share)
    expected = torch.stack([slow(x, m[0]) for x, m in zip(images, removed, strict=True)])
    torch.testing.assert_close(impute(images, removed), expected)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_equals_quantus(share):
    with quiet_quantus():
        from quantus.functions.perturb_func import noisy_linear_imputation
    images, removed = case(share=share)
    for image, mask, found in zip(images, removed, impute(images, removed), strict=True):
        indices = np.flatnonzero(mask.numpy())
        expected = noisy_linear_imputation(image.numpy(), indices, noise=0.0)
        torch.testing.assert_close(found, torch.from_numpy(expected))


@given(seed=st.integers(0, 1000), share=st.floats(0, 1), height=st.integers(1, 9))
def test_what_is_left_stays_and_the_fill_lies_between(seed, share, height):
    images, removed = case(height, 5, share, seed)
    found = impute(images, removed)
    assert torch.equal(found.masked_fill(removed, 0), images.masked_fill(removed, 0))
    for before, after, mask in zip(images, found, removed[:, 0], strict=True):
        low, high = before[:, ~mask].aminmax(dim=1)
        assert (after >= low[:, None, None] - 1e-9).all()
        assert (after[:, mask] <= high[:, None] + 1e-9).all()
        assert (after[:, mask] >= low[:, None] - 1e-9).all()
    everything = torch.ones_like(removed)
    assert impute(images, everything).isnan().all()


@pytest.fixture
def plain():
    return torch.zeros(2, 1, 40, 40), torch.ones(2, 1, 40, 40).bool().tril()


def test_noise_is_on_the_fill_alone_and_seeded(plain):
    images, removed = plain
    found = impute(images, removed, noise=0.1, seed=1)
    assert (found[~removed] == 0).all()
    assert found[removed].std().item() == pytest.approx(0.1, rel=0.1)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found, impute(images, removed, noise=0.1, seed=1))
    assert not torch.equal(found, impute(images, removed, noise=0.1, seed=2))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"removed": torch.ones(2, 1, 4, 4)}, "removed must be bool of shape"),
        ({"removed": torch.ones(2, 3, 4, 4).bool()}, "removed must be bool of shape"),
        ({"noise": -1.0}, "noise must be a finite number of at least 0; got -1.0"),
        ({"noise": math.inf}, "noise must be a finite number of at least 0; got inf"),
        ({"seed": 0.5}, "seed must be a whole number"),
        ({"images": torch.ones(2, 4, 4)}, "images must be a non-empty"),
    ],
)
def test_bad_input(arguments, sentence):
    given = {"images": torch.ones(2, 3, 4, 4), "removed": torch.ones(2, 1, 4, 4).bool()}
    with pytest.raises(ValueError, match=sentence):
        impute(**{**given, **arguments})


@pytest.mark.parametrize(("height", "width"), [(30, 20), (4, 9), (1, 5), (24, 24)])
@pytest.mark.parametrize("share", [0.02, 0.1, 0.3])
def test_blur_equals_torchvision(height, width, share):
    images = torch.randn(2, 3, height, width, dtype=torch.float64)
    sigma = share * min(height, width)
    reach = min(round(3 * sigma), min(height, width) - 1)
    expected = torchvision_blur(images, [2 * reach + 1] * 2, [sigma] * 2)
    torch.testing.assert_close(gaussian_blur(images, share), expected)
