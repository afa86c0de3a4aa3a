"""Backgrounds exchanged within a batch: by hand, what is kept, what is refused."""

import pytest
import torch

from sib.functional.exchange import exchange_backgrounds


def case(size=6, side=12):
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(size, 3, side, side, generator=generator)
    foreground = torch.zeros(size, 1, side, side, dtype=torch.bool)
    foreground[1:, :, 3:8, 2:9] = True  # the first image is not annotated
    return images, foreground


def seeded(seed=3):
    return torch.Generator().manual_seed(seed)


def others(count, seed=3):
    """Whose background each image is given: that of its neighbour on a random cycle."""
    cycle = torch.randperm(count, generator=seeded(seed)).tolist()
    before = dict(zip(cycle, [cycle[-1], *cycle[:-1]], strict=True))
    return [before[own] for own in range(count)]


def test_objects_stand_before_the_other_background_without_its_object():
    images = torch.ones(2, 1, 8, 8)
    images[1] = 3.0
    foreground = torch.zeros(2, 1, 8, 8)
    foreground[:, :, 2:5, 2:5] = 1.0
    images[0][foreground[0] > 0], images[1][foreground[1] > 0] = 10.0, 30.0
    for seed in range(4):
        found = exchange_backgrounds(images, foreground, 1.0, seeded(seed))
        for own, other in enumerate(others(2, seed)):
            assert own != other
            # every pixel around is of one value, and so is what is painted over the other object
            expected = torch.full((1, 8, 8), [1.0, 3.0][other])
            expected[foreground[own] > 0] = [10.0, 30.0][own]
            assert torch.allclose(found[own], expected, atol=1e-5)


def test_the_foreground_is_kept_and_the_input_is_not_touched():
    images, foreground = case()
    before = images.clone()
    found = exchange_backgrounds(images, foreground, 1.0, seeded())
    assert torch.equal(images, before)
    assert torch.equal(torch.where(foreground, found, 0), torch.where(foreground, images, 0))
    assert torch.equal(found[0], images[0])
    assert (found[1:] != images[1:]).any(dim=(1, 2, 3)).all()
    assert found.min() >= 0 and found.max() <= 1  # means of the images' own values


def test_what_surrounds_the_other_object_is_seen_where_neither_object_stands():
    images, foreground = case()
    foreground[2:] = False
    foreground[2:, :, :4, :4] = True
    found = exchange_backgrounds(images, foreground, 1.0, seeded())
    for own, other in enumerate(others(5), start=1):
        both = ~foreground[own] & ~foreground[other + 1]
        assert torch.equal(found[own][:, both[0]], images[other + 1][:, both[0]])


def test_a_share_of_the_images_is_changed():
    images, foreground = case(size=400)
    found = exchange_backgrounds(images, foreground, 0.3, seeded())
    changed = (found != images).any(dim=(1, 2, 3)).float().mean()
    assert 0.22 < changed < 0.38
    assert torch.equal(exchange_backgrounds(images, foreground, 0.0), images)


def test_an_annotated_image_alone_in_its_batch_keeps_its_background():
    images, foreground = case()
    foreground[2:] = False
    assert torch.equal(exchange_backgrounds(images, foreground, 1.0), images)


def test_a_foreground_that_is_no_share_is_refused():
    images, foreground = case()
    with pytest.raises(ValueError, match=r"foreground must lie in \[0, 1\]; got 0 to 255"):
        exchange_backgrounds(images, 255.0 * foreground)


def test_without_annotation_nothing_changes():
    images, foreground = case()
    unknown = torch.zeros_like(foreground)
    assert torch.equal(exchange_backgrounds(images, unknown, 1.0), images)


def test_a_foreground_over_the_whole_image_keeps_it():
    images, foreground = case()
    everything = torch.ones_like(foreground)
    found = exchange_backgrounds(images, everything, 1.0)
    assert torch.allclose(found, images)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan"), "1"])
def test_a_share_out_of_range_is_refused(share):
    with pytest.raises(ValueError, match=r"share must lie in \[0, 1\]"):
        exchange_backgrounds(*case(), share)


def test_a_foreground_of_another_shape_is_refused():
    images, foreground = case()
    with pytest.raises(ValueError, match="foreground must be bool or floating point of shape"):
        exchange_backgrounds(images, foreground[:, :, :5])
