"""Sizes that are not square, and the rules of resizing."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from sib.data.readers.decode import MAX_PIXELS
from sib.data.sample import Sample
from sib.data.transforms import JointTransform, check_resized
from sib.models import build
from sib.utils.errors import InputError
from sib.utils.image_size import (
    check_size,
    height_width,
    parse_size,
    plain_size,
    size_in_words,
)

sides = st.integers(1, 40)
wanted = st.integers(2, 40)
"""torch cannot resize bytes to a single pixel: an assertion of its own fails."""


def sample(height, width, seed=0):
    generator = torch.Generator().manual_seed(seed)
    image = torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=generator)
    foreground = torch.zeros(1, height, width, dtype=torch.bool)
    foreground[:, height // 4 : -(height // 4) or None, : width // 2 + 1] = True
    return Sample(tv_tensors.Image(image), 0, tv_tensors.Mask(foreground))


class TestSizes:
    @pytest.mark.parametrize(
        ("text", "size", "words"),
        [
            ("64", 64, "64 × 64"),
            (" 64x64 ", 64, "64 × 64"),
            ("64x48", (64, 48), "64 × 48 (height × width)"),
            ("64X048", (64, 48), "64 × 48 (height × width)"),
            ("64×48", (64, 48), "64 × 48 (height × width)"),
        ],
    )
    def test_as_text(self, text, size, words):
        assert parse_size(text) == size and size_in_words(size) == words
        assert parse_size(str(plain_size(size))) == size == check_size(text)
        assert height_width(size) == (64, 64 if size == 64 else 48)

    @pytest.mark.parametrize(
        "text", ["", "x", "64x", "x48", "64x48x3", "-1", "6.5", "64 48", "9" * 99]
    )
    def test_other_text_is_refused(self, text):
        with pytest.raises(InputError, match="--image-size must be N for a square or HxW"):
            parse_size(text)

    @pytest.mark.parametrize(
        ("text", "meant"),
        [
            *(("224,192", "224x192"), ("(224, 192)", "224x192"), ("224*192", "224x192")),
            *(("[64]", "64"), ("224px", "224"), ("224.0", "224"), ("224:192", "224x192")),
        ],
    )
    def test_what_was_meant_is_proposed(self, text, meant):
        with pytest.raises(InputError, match=f": write {meant}$"):
            parse_size(text)

    @pytest.mark.parametrize("text", ["-1", "6.5", "3x64x64", "1,2,3"])
    def test_nothing_is_proposed_beyond_doubt(self, text):
        with pytest.raises(InputError, match=f"got {re.escape(repr(text))}$"):
            parse_size(text)

    def test_a_long_text_is_refused_at_once(self):
        """A file of weights can hold it; a quadratic search took minutes."""
        with pytest.raises(InputError, match="must be N for a square or HxW"):
            parse_size("1" + " " * 10**5 + "x")

    @pytest.mark.parametrize("size", [0, 1, (0, 4), (4, 1), (4, -1), "0", "1", "4x1"])
    def test_a_side_that_is_too_short_is_refused(self, size):
        with pytest.raises(InputError, match="image_size must be at least 2"):
            check_size(size)

    @pytest.mark.parametrize("size", [1.5, (1, 2, 3), (1, 2.0), True, None])
    def test_what_is_no_size_is_refused(self, size):
        with pytest.raises(InputError, match="image_size must be an integer, or height and width"):
            check_size(size)

    def test_a_square_is_an_integer(self):
        assert check_size((8, 8)) == 8 and check_size([8, 9]) == (8, 9)


class TestResize:
    @given(sides, sides, wanted)
    def test_a_square_is_cropped_as_torchvision_does(self, height, width, side):
        given_sample = sample(height, width)
        found = JointTransform(side)(given_sample)
        if (height, width) == (side, side):
            assert torch.equal(found.image, given_sample.image)
            return
        short = [round(side * 256 / 224)]
        resized = F.resize(given_sample.image, short, InterpolationMode.BILINEAR)
        expected = F.center_crop(resized, [side, side])
        assert torch.equal(found.image, expected)

    @given(sides, sides, wanted, wanted, st.sampled_from(["crop", "squash", "pad"]))
    def test_every_size_is_reached(self, height, width, out_height, out_width, resize):
        found = JointTransform((out_height, out_width), resize=resize)(sample(height, width))
        assert found.image.shape == (3, out_height, out_width)
        assert found.foreground.shape == (1, out_height, out_width)

    def test_crop_by_hand(self):
        # 7 × 14 is to be covered at 8 × 16: 10 × 30 becomes 8 × 24, of which the centre is cropped
        image = torch.zeros(3, 10, 30, dtype=torch.uint8)
        image[:, :, 15:] = 200
        mask = torch.zeros(1, 10, 30, dtype=torch.bool)
        mask[:, :, 15:] = True
        found = JointTransform((7, 14))(Sample(tv_tensors.Image(image), 0, tv_tensors.Mask(mask)))
        assert found.foreground[0].tolist() == [[False] * 7 + [True] * 7] * 7
        assert (found.image[:, :, :6] == 0).all() and (found.image[:, :, 8:] == 200).all()

    def test_squash_by_hand(self):
        image = torch.tensor([[10, 30], [50, 70]], dtype=torch.uint8).repeat(3, 1, 1)
        mask = torch.tensor([[[True, False], [False, False]]])
        picture = Sample(tv_tensors.Image(image), 0, tv_tensors.Mask(mask))
        found = JointTransform((2, 4), resize="squash")(picture)
        assert found.image[0].tolist() == [[10, 15, 25, 30], [50, 55, 65, 70]]
        assert JointTransform((2, 6), resize="squash")(picture).foreground[0].tolist() == [
            [True] * 3 + [False] * 3,
            [False] * 6,
        ]

    def test_pad_by_hand(self):
        image = torch.full((3, 2, 4), 7, dtype=torch.uint8)
        mask = torch.ones(1, 2, 4, dtype=torch.bool)
        picture = Sample(tv_tensors.Image(image), 0, tv_tensors.Mask(mask))
        found = JointTransform(4, resize="pad")(picture)
        assert found.image[2].tolist() == [[128] * 4, [7] * 4, [7] * 4, [128] * 4]
        assert found.foreground[0].tolist() == [[False] * 4, [True] * 4, [True] * 4, [False] * 4]
        wide = JointTransform((4, 10), resize="pad")(picture)
        assert wide.foreground[0].tolist() == [[False] + [True] * 8 + [False]] * 4

    def test_random_crops_keep_the_ratio_of_the_size(self):
        # a square region at a ratio of 1 : 4 would be squeezed to a quarter
        torch.manual_seed(0)
        transform = JointTransform((16, 64), augment="crop", crop_area=0.2)
        columns = torch.arange(256).repeat(64, 1).clamp(max=255).to(torch.uint8)
        widths = []
        for _ in range(50):
            picture = Sample(tv_tensors.Image(columns.repeat(3, 1, 1)), 0, None)
            found = transform(picture).image[0].int()
            widths.append(abs(found[0, -1] - found[0, 0]).item())
        assert np.mean(widths) > 100

    def test_an_unknown_rule_is_refused(self):
        with pytest.raises(InputError, match=r"resize must be crop, squash or pad.*got 'stretch'"):
            JointTransform(8, resize="stretch")

    def test_an_image_that_would_grow_too_large_is_refused_where_it_would(self):
        # 4 × 1,000,000 at a short side of 64 is 64 × 16,000,000, more than 2²⁷
        with pytest.raises(InputError) as refused:
            check_resized((4, 1_000_000), 56, "x.png")
        assert str(refused.value).startswith(
            "x.png is 1000000 × 4 pixels; resized to 16000000 × 64, of which the centre is kept, "
            f"it would have more than the {MAX_PIXELS:,} pixels that are allowed"
        )
        with pytest.raises(InputError, match="an image is 4 × 1000000 pixels; resized to 64"):
            check_resized((1_000_000, 4), 56)
        for resize in ("squash", "pad"):
            check_resized((4, 1_000_000), 56, resize=resize)
        # of the wanted size, or enlarged a little only
        check_resized((4, 1_000_000), (4, 1_000_000))
        check_resized((4, 1000), (7, 1750))

    def test_a_transform_refuses_what_would_grow_too_large(self):
        picture = sample(1, 40)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sib.data.transforms.MAX_PIXELS", 1000)
            with pytest.raises(InputError, match="resized to 640 × 16"):
                JointTransform(14)(picture)
            assert JointTransform(14, resize="pad")(picture).image.shape == (3, 14, 14)


class TestModels:
    def test_convolutions_take_any_size_and_vit_a_square(self):
        model = build("small_resnet", 3, (16, 24))
        assert model(torch.zeros(2, 3, 16, 24)).shape == (2, 3)
        with pytest.raises(InputError, match="vit_b_32 does not take image_size 32x64: it takes s"):
            build("vit_b_32", 3, (32, 64))

    def test_timm_is_told_height_and_width(self):
        model = build("timm/vit_tiny_patch16_224", 3, (32, 64))
        assert model(torch.zeros(2, 3, 32, 64)).shape == (2, 3)
