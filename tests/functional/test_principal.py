"""The principal component of features, its map and the largest part of it."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sib.functional.area import largest_area
from sib.functional.principal import (
    FeatureMoments,
    PrincipalComponent,
    component_map,
)


def component_of(*batches):
    moments = FeatureMoments()
    for batch in batches:
        moments.add(batch)
    return moments.principal_component()


def planted(count, seed=0, size=7, noise=0.1):
    """Features (B, 4, 7, 7) that stand out along (3, 0, 4, 0) / 5 at the inner 3 × 3 places."""
    generator = torch.Generator().manual_seed(seed)
    features = noise * torch.randn(count, 4, size, size, generator=generator)
    features[:, 0, 2:5, 2:5] += 3
    features[:, 2, 2:5, 2:5] += 4
    return features


def test_a_component_computed_by_hand():
    # one channel more in the middle of a 3 × 3 map: values (1, 5) at one place, (1, 1) at eight
    features = torch.ones(2, 2, 3, 3)
    features[:, 1, 1, 1] = 5
    component = component_of(features)
    torch.testing.assert_close(component.mean, torch.tensor([1, 13 / 9], dtype=torch.float64))
    torch.testing.assert_close(component.direction, torch.tensor([0, 1], dtype=torch.float64))
    assert component.explained == pytest.approx(1)
    found = component_map(features, component)
    expected = torch.full((2, 1, 3, 3), -4 / 9, dtype=torch.float64)
    expected[:, :, 1, 1] = 32 / 9
    torch.testing.assert_close(found, expected)


def slow(batches):
    """By loops over places, and numpy's general solver."""
    places, border = [], []
    for batch in batches:
        _, _, height, width = batch.shape
        for image in batch.double().numpy():
            for y in range(height):
                for x in range(width):
                    places.append(image[:, y, x])
                    if y in (0, height - 1) or x in (0, width - 1):
                        border.append(image[:, y, x])
    mean = sum(places) / len(places)
    covariance = sum(np.outer(p - mean, p - mean) for p in places) / len(places)
    values, vectors = np.linalg.eig(covariance)
    direction = np.real(vectors[:, np.argmax(np.real(values))])
    if (sum(border) / len(border) - mean) @ direction > 0:
        direction = -direction
    return mean, direction, np.real(values).max() / np.trace(covariance)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**31),
    st.integers(1, 5),
    st.sampled_from([(3, 3), (4, 6), (5, 3)]),
    st.floats(-100, 100),
)
def test_it_is_what_slow_loops_find(seed, channels, size, offset):
    generator = torch.Generator().manual_seed(seed)
    scale = torch.linspace(1, 3, channels)[:, None, None]
    batches = [
        offset + scale * torch.randn(b, channels, *size, generator=generator) for b in (2, 3)
    ]
    mean, direction, explained = slow(batches)
    component = component_of(*batches)
    np.testing.assert_allclose(component.mean, mean, atol=1e-10)
    assert component.explained == pytest.approx(explained, rel=1e-8)
    residual = component_map(batches[1], component)
    expected = [
        [[(image[:, y, x] - mean) @ direction for x in range(size[1])] for y in range(size[0])]
        for image in batches[1].double().numpy()
    ]
    # where two directions vary alike their order is rounding; scale keeps them apart
    np.testing.assert_allclose(residual[:, 0].abs().numpy(), np.abs(expected), atol=1e-4)


def test_one_batch_or_several_are_the_same():
    features = 1000 + planted(6)
    whole, parts = component_of(features), component_of(features[:1], features[1:2], features[2:])
    torch.testing.assert_close(whole.mean, parts.mean)
    torch.testing.assert_close(whole.direction, parts.direction)


def test_the_border_is_on_the_negative_side():
    for features in (planted(4), -planted(4)):
        found = component_map(features, component_of(features))
        assert found[:, :, 0].mean() < 0 < found[:, :, 2:5, 2:5].mean()


def test_the_planted_object_is_the_foreground():
    features = planted(4)
    found = largest_area(component_map(features, component_of(features)), 9 / 49, (7, 7))
    expected = torch.zeros(4, 1, 7, 7, dtype=torch.bool)
    expected[..., 2:5, 2:5] = True
    assert torch.equal(found, expected)


@pytest.mark.parametrize(
    ("batches", "sentence"),
    [
        ([torch.rand(1, 2, 4, 4)], "at least 2 images; got 1"),
        ([], "at least 2 images; got 0"),
        ([torch.full((3, 2, 4, 4), 7.3)], "the same at every place"),
        ([torch.zeros(3, 2, 4, 4)], "the same at every place"),
        ([torch.rand(3, 2, 1, 1)], "at least 3 × 3 places; got 1 × 1"),
        ([torch.rand(3, 2, 4, 2)], "at least 3 × 3 places; got 4 × 2"),
        ([torch.rand(3, 5, 8)], "non-empty"),
        ([torch.full((2, 2, 4, 4), torch.nan)], "must be finite"),
        ([torch.rand(3, 2, 4, 4), torch.rand(3, 3, 4, 4)], "2 channels, as before; got 3"),
    ],
)
def test_bad_features_are_refused_in_a_sentence(batches, sentence):
    with pytest.raises(ValueError, match=sentence):
        component_of(*batches)


def test_bad_maps_are_refused():
    component = PrincipalComponent(torch.zeros(2), torch.ones(2), 1.0)
    with pytest.raises(ValueError, match="finite"):
        component_map(torch.full((1, 2, 3, 3), torch.inf), component)
