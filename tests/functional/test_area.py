"""The part of an image that a map marks."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from sib.functional.area import BINS, centred_disc, largest_area, marked_area, otsu_area


def test_the_largest_part_by_hand():
    values = torch.arange(10.0).view(1, 1, 2, 5)
    found = largest_area(values, 0.3, (2, 5))
    assert found.tolist() == [[[[False] * 5, [False, False, True, True, True]]]]
    assert not largest_area(torch.ones(1, 1, 4, 4), 0.2, (8, 8)).any()


def test_a_map_is_enlarged_bilinearly():
    # 1 × 2 places over 1 × 4 pixels: 0, 0.25, 0.75, 1 of the way
    found = largest_area(torch.tensor([[[[0.0, 1.0]]]]), 0.5, (1, 4))
    assert found.tolist() == [[[[False, False, True, True]]]]


def test_a_centred_disc():
    disc = centred_disc(0.2, (50, 50))
    assert disc.float().mean() == pytest.approx(0.2, abs=0.005)
    assert disc[0, 0, 25, 25] and not disc[0, 0, 0].any()
    assert torch.equal(disc, disc.flip(-1)) and torch.equal(disc, disc.mT)


@pytest.mark.parametrize(("size", "nearest"), [((8, 8), 4), ((7, 8), 2), ((7, 7), 1)])
def test_the_smallest_disc_is_the_pixels_nearest_to_the_centre(size, nearest):
    disc = centred_disc(1e-6, size)
    assert disc.sum() == nearest and disc[0, 0, size[0] // 2, size[1] // 2]


@pytest.mark.parametrize("area", [0, 1, -0.1])
def test_a_share_out_of_range_is_refused(area):
    with pytest.raises(ValueError, match="area must lie between 0 and 1"):
        largest_area(torch.rand(1, 1, 3, 3), area, (6, 6))


def test_otsus_part_by_hand():
    # six values near 0 and two near 10: any threshold between them parts the classes
    values = torch.tensor([0.0, 1, 0, 1, 9, 10, 0, 1]).view(1, 1, 2, 4)
    assert otsu_area(values, (2, 4)).tolist() == [[[[False] * 4, [True, True, False, False]]]]
    assert otsu_area(-values, (2, 4)).sum() == 6


def test_a_constant_map_marks_nothing():
    maps = torch.cat([torch.full((1, 1, 4, 4), 0.3), torch.eye(4)[None, None]])
    marked = otsu_area(maps, (4, 4))
    assert not marked[0].any() and torch.equal(marked[1, 0], torch.eye(4).bool())


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.floats(-1e3, 1e3), st.floats(1e-3, 1e3))
def test_otsus_threshold_has_the_largest_variance_between_classes(seed, offset, scale):
    generator = torch.Generator().manual_seed(seed)
    maps = offset + scale * torch.randn(1, 1, 5, 6, generator=generator, dtype=torch.float64)
    values = F.interpolate(maps, (11, 13), mode="bilinear", align_corners=False).flatten().numpy()
    edges = np.linspace(values.min(), values.max(), BINS + 1)
    bins = np.clip(np.digitize(values, edges) - 1, 0, BINS - 1)

    def between(marked):
        low, high = bins[~marked], bins[marked]
        return len(low) * len(high) * (low.mean() - high.mean()) ** 2

    best = max(between(bins > edge) for edge in range(bins.min(), bins.max()))
    found = otsu_area(maps, (11, 13)).flatten().numpy()
    assert between(found) == pytest.approx(best, rel=1e-2)


def test_it_is_scikit_images():
    filters = pytest.importorskip("skimage.filters")
    maps = torch.rand(6, 1, 16, 16, generator=torch.Generator().manual_seed(3)) ** 3
    for marked, values in zip(otsu_area(maps, (16, 16)), maps.numpy(), strict=True):
        wanted = values > filters.threshold_otsu(values, nbins=BINS)
        assert (marked.numpy() != wanted).mean() < 0.01  # a value in the bin of the threshold


def test_an_area_is_a_share_or_otsu():
    maps = torch.rand(2, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(marked_area(maps, "otsu", (8, 8)), otsu_area(maps, (8, 8)))
    assert torch.equal(marked_area(maps, 0.3, (8, 8)), largest_area(maps, 0.3, (8, 8)))
    with pytest.raises(ValueError, match="or 'otsu'; got 'half'"):
        marked_area(maps, "half", (8, 8))  # type: ignore[arg-type]
