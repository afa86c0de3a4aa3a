"""Images of every colour model and orientation, and masks of every coding."""

import os

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.pictures import save, save_palette, square_mask
from sib.data.readers.decode import read_image, read_size
from sib.data.readers.masks import read_foreground
from sib.data.sample import MaskFile, MaskRule
from sib.utils.errors import InputError


def pixels_of(path):
    image = read_image(path)
    assert image.dtype == torch.uint8 and image.shape[0] == 3 and image.is_contiguous()
    return image.numpy().transpose(1, 2, 0)


def test_rgb_is_read_as_it_is(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    assert np.array_equal(pixels_of(save(tmp_path / "a.png", pixels)), pixels)


def test_grey_becomes_three_equal_channels(tmp_path):
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert np.array_equal(pixels_of(save(tmp_path / "a.png", grey)), np.stack([grey] * 3, -1))


@pytest.mark.parametrize("ending", [".png", ".tif"])
def test_16_bit_grey_is_scaled_not_clipped(tmp_path, ending):
    grey = np.array([[0, 257, 128 * 257, 65535]], np.uint16)
    path = save(tmp_path / f"a{ending}", grey)
    assert pixels_of(path)[0, :, 0].tolist() == [0, 1, 128, 255]


def test_more_than_16_bits_are_refused(tmp_path):
    path = save(tmp_path / "a.tif", Image.fromarray(np.array([[0, 70000]], np.int32)))
    with pytest.raises(InputError, match="holds the values 0 to 70000; images of 8 and of 16 bits"):
        read_image(path)


def test_transparency_is_laid_over_white(tmp_path):
    pixels = np.zeros((1, 3, 4), np.uint8)
    pixels[0, :, 0], pixels[0, :, 3] = 255, (0, 255, 102)
    read = pixels_of(save(tmp_path / "a.png", pixels))
    assert read[0].tolist() == [[255, 255, 255], [255, 0, 0], [255, 153, 153]]


def test_palette_colours_and_their_transparency(tmp_path):
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8), mode="P")
    image.putpalette([9, 8, 7, 200, 100, 50, 1, 2, 3])
    image.save(tmp_path / "a.png", transparency=2)
    read = pixels_of(tmp_path / "a.png")
    assert read[0].tolist() == [[9, 8, 7], [200, 100, 50], [255, 255, 255]]


def test_cmyk(tmp_path):
    path = save(tmp_path / "a.jpg", Image.new("CMYK", (16, 16), (0, 255, 255, 0)))
    red = pixels_of(path).reshape(-1, 3).mean(axis=0)
    assert red[0] > 230 and red[1] < 60 and red[2] < 60


@pytest.mark.parametrize("ending", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_and_the_header_agrees(tmp_path, ending, orientation):
    path = tmp_path / f"a{ending}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = np.zeros((16, 32, 3), np.uint8)
    pixels[:8, :16] = 255  # the upper left quarter
    Image.fromarray(pixels).save(path, exif=exif)
    read = pixels_of(path)
    assert read.shape[:2] == read_size(path) == ((32, 16) if orientation > 4 else (16, 32))
    rows, columns = np.nonzero(read[..., 0] > 127)
    upper, left = rows.mean() < read.shape[0] / 2, columns.mean() < read.shape[1] / 2
    corners = {1: "UL", 2: "UR", 3: "LR", 4: "LL", 5: "UL", 6: "UR", 7: "LR", 8: "LL"}
    assert ("U" if upper else "L") + ("L" if left else "R") == corners[orientation]


def test_mask_is_compared_with_the_upright_image(tmp_path):
    mask = save(tmp_path / "m.png", square_mask(1))
    source = MaskFile(mask, MaskRule.BINARY_OR_HALF)
    assert read_foreground(source, (30, 40)).shape == (1, 30, 40)
    with pytest.raises(InputError, match="its image 30 × 40"):
        read_foreground(source, (40, 30))


def foreground(path, rule=MaskRule.BINARY_OR_HALF):
    read = read_foreground(MaskFile(path, rule), read_size(path))
    assert read.dtype == torch.bool
    return read[0].numpy()


@pytest.mark.parametrize("value", [1, 128, 255])
def test_user_mask_values(tmp_path, value):
    path = save(tmp_path / "m.png", square_mask(value))
    assert np.array_equal(foreground(path), square_mask(1).astype(bool))


def test_user_mask_values_below_the_half_are_background(tmp_path):
    mask = square_mask(255)
    mask[0, :3] = (1, 90, 127)
    assert np.array_equal(foreground(save(tmp_path / "m.png", mask)), square_mask(1).astype(bool))


def test_user_mask_of_other_modes(tmp_path):
    square = square_mask(1).astype(bool)
    files = [
        save(tmp_path / "one_bit.png", Image.fromarray(square)),
        save(tmp_path / "rgb.png", np.stack([square_mask(255)] * 3, -1)),
        save(tmp_path / "deep.png", square_mask(1).astype(np.uint16) * 65535),
        save_palette(tmp_path / "palette.png", square_mask(1)),
    ]
    for path in files:
        assert np.array_equal(foreground(path), square), path.name


def test_empty_mask_is_allowed(tmp_path):
    assert not foreground(save(tmp_path / "m.png", square_mask(0))).any()


def test_a_file_that_is_cut_anywhere_raises_only_input_errors(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (24, 24, 3), np.uint8)
    for ending in (".png", ".jpg", ".tif", ".webp", ".bmp"):
        path = save(tmp_path / f"a{ending}", noise)
        content = path.read_bytes()
        for share in (0.02, 0.1, 0.3, 0.6):
            path.write_bytes(content[: int(len(content) * share)])
            with pytest.raises(InputError, match=f"a{ending} cannot be read"):
                read_image(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "x.png")
    with pytest.raises(InputError, match=r"x\.png is not a regular file"):
        read_image(tmp_path / "x.png")
