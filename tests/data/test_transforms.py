"""The foreground stays on its object through every transform."""

import pytest
import torch
from torchvision import tv_tensors

from helpers.pictures import square_mask, square_pixels
from sib.data import JointTransform, Sample


def square_sample(height=60, width=90, square=(slice(15, 45), slice(25, 65))):
    pixels = torch.from_numpy(square_pixels(height, width, square)).permute(2, 0, 1)
    mask = torch.from_numpy(square_mask(1, height, width, square)).bool()[None]
    return Sample(tv_tensors.Image(pixels.contiguous()), 3, tv_tensors.Mask(mask))


def assert_mask_on_square(sample):
    """The mask is the red square, but for the pixels that a resize mixes at its edge."""
    assert sample.image.dtype == torch.uint8 and sample.foreground.dtype == torch.bool
    assert sample.foreground.shape == (1, *sample.image.shape[-2:])
    red, foreground = sample.image[0] > 172, sample.foreground[0]
    # one edge of the square may fall halfway between two pixels
    assert (red ^ foreground).sum() <= 0.55 * sample.image.shape[-1]
    assert not foreground[sample.image[0] <= 95].any()
    assert foreground[sample.image[0] >= 250].all()


@pytest.mark.parametrize("augment", ["none", "flip", "crop"])
@pytest.mark.parametrize("image_size", [24, 56, 131])
@pytest.mark.parametrize("shape", [(60, 90), (90, 60), (60, 60)])
def test_mask_follows_the_image(augment, image_size, shape):
    transform = JointTransform(image_size, augment)
    for _ in range(8):
        sample = transform(square_sample(*shape, square=(slice(20, 50), slice(18, 48))))
        assert sample.image.shape == (3, image_size, image_size)
        assert sample.label == 3
        assert_mask_on_square(sample)


def test_none_is_the_published_resize_and_centre_crop():
    square = (slice(16, 48), slice(32, 64))  # the middle of 64 × 96
    sample = JointTransform(56)(square_sample(64, 96, square))
    rows, columns = sample.foreground[0].nonzero(as_tuple=True)
    # 64 → 64 = 56 · 256/224, and 4 rows and 20 columns go on either side
    assert (rows.min(), rows.max()) == (12, 43)
    assert (columns.min(), columns.max()) == (12, 43)


def test_short_side_is_resized():
    sample = JointTransform(28)(square_sample(64, 96, (slice(16, 48), slice(32, 64))))
    rows, columns = sample.foreground[0].nonzero(as_tuple=True)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (6, 21, 6, 21)


def test_none_leaves_an_image_of_the_wanted_size_alone():
    before = square_sample(60, 60)
    after = JointTransform(60)(before)
    assert torch.equal(before.image, after.image)
    assert torch.equal(before.foreground, after.foreground)


def test_flip_is_the_image_or_its_mirror_about_equally_often():
    before = square_sample(60, 60)
    mirrored = 0
    for _ in range(200):
        after = JointTransform(60, "flip")(before)
        if torch.equal(after.image, before.image.flip(-1)):
            mirrored += 1
            assert torch.equal(after.foreground, before.foreground.flip(-1))
        else:
            assert torch.equal(after.image, before.image)
            assert torch.equal(after.foreground, before.foreground)
    assert 70 < mirrored < 130


def test_crop_varies_scale_and_place():
    shares = [JointTransform(60, "crop")(square_sample()).foreground.sum() for _ in range(30)]
    assert len(set(map(int, shares))) > 10


def test_unknown_foreground_stays_unknown():
    sample = square_sample()._replace(foreground=None)
    for augment in ("none", "flip", "crop"):
        assert JointTransform(32, augment)(sample).foreground is None
