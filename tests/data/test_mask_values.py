"""Masks as tools write them: each must give the square, or be refused in a sentence."""

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.pictures import save, save_classes, square_mask, square_pixels
from sib.data import open_data
from sib.data.readers.decode import read_size
from sib.data.readers.masks import read_background, read_foreground
from sib.data.sample import MaskFile, MaskRule
from sib.utils.errors import InputError

SHAPE = square_mask(1).astype(bool)
GREY = Image.fromarray(square_mask(255))


def foreground(path, size=None, rule=MaskRule.BINARY_OR_HALF):
    read = read_foreground(MaskFile(path, rule), size or read_size(path))
    assert read.dtype == torch.bool
    return read[0].numpy()


def palette(indices, colours):
    image = Image.fromarray(indices.astype(np.uint8), mode="P")
    image.putpalette([value for colour in colours for value in colour])
    return image


def with_alpha(colour, alpha, mode="RGBA"):
    image = Image.new(mode, (40, 30), colour)
    image.putalpha(Image.fromarray(alpha))
    return image


def coloured(*colours):
    """The square in stripes of colours, on black."""
    pixels = np.zeros((30, 40, 3), np.uint8)
    rows = np.flatnonzero(SHAPE.any(axis=1))
    for index, part in enumerate(np.array_split(rows, len(colours))):
        pixels[part] = np.where(SHAPE[part][..., None], colours[index], 0)
    return Image.fromarray(pixels)


def test_quantize_gives_a_palette_that_begins_with_white():
    image = GREY.convert("RGB").quantize(2)
    assert image.getpalette()[:6] == [255, 255, 255, 0, 0, 0]


MASKS = {
    "quantized": GREY.convert("RGB").quantize(2),
    "quantized to many": GREY.convert("RGB").quantize(16),
    "quantized red": coloured((255, 0, 0)).quantize(2),
    "palette in order": palette(SHAPE, [(0, 0, 0), (255, 255, 255)]),
    "palette turned round": palette(~SHAPE, [(255, 255, 255), (0, 0, 0)]),
    "palette of 0 and 1": palette(SHAPE, [(0, 0, 0), (1, 1, 1)]),
    "palette of greys": palette(SHAPE * 9, [(i, i, i) for i in range(0, 250, 25)]),
    "palette of labels": palette(SHAPE * 3, [(0, 0, 0), (9, 0, 0), (0, 9, 0), (0, 0, 200)]),
    "palette of dark labels": palette(SHAPE, [(0, 0, 0), (10, 0, 0)]),
    "palette without black": palette(SHAPE, [(90, 0, 0), (0, 90, 0)]),
    "palette, black last": palette(~SHAPE, [(90, 0, 0), (0, 0, 0)]),
    "opacity over white": with_alpha("white", square_mask(255)),
    "opacity over black": with_alpha("black", square_mask(255)),
    "opacity over grey": with_alpha(200, square_mask(255), "LA"),
    "opacity of 0 and 1": with_alpha("white", square_mask(1)),
    "opacity everywhere": with_alpha("white", np.full((30, 40), 255, np.uint8)),
    "one bit": GREY.convert("1"),
    "16 bits": Image.fromarray(square_mask(1).astype(np.uint16) * 65535),
    "16 bits of 0 and 1": Image.fromarray(square_mask(1).astype(np.uint16)),
    "16 bits of 0 and 255": Image.fromarray(square_mask(255).astype(np.uint16)),
    "grey": GREY,
    "values 0 and 1": Image.fromarray(square_mask(1)),
    "colours": GREY.convert("RGB"),
    "red": coloured((255, 0, 0)),
    "blue": coloured((0, 0, 255)),
    "labels": coloured((128, 0, 0), (0, 128, 0), (64, 0, 0), (0, 64, 128)),
    "transparent index": palette(SHAPE, [(255, 255, 255), (255, 255, 255)]),
}
MASKS["opacity everywhere"].paste(GREY.convert("RGBA"))
MASKS["transparent index"].info["transparency"] = 0


@pytest.mark.parametrize("name", MASKS)
def test_each_gives_the_square(tmp_path, name):
    assert np.array_equal(foreground(save(tmp_path / "m.png", MASKS[name])), SHAPE)


@pytest.mark.parametrize("ending", [".gif", ".bmp", ".tif", ".webp", ".pgm", ".jp2", ".avif"])
def test_formats_that_keep_the_values(tmp_path, ending):
    path = tmp_path / f"m{ending}"
    GREY.save(path, **({"lossless": True} if ending == ".webp" else {}))
    assert (foreground(path) == SHAPE).mean() > 0.99


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("quality", [30, 75, 95])
def test_a_jpeg_rings_and_keeps_the_square(tmp_path, mode, quality):
    GREY.convert(mode).save(tmp_path / "m.jpg", quality=quality)
    assert (foreground(tmp_path / "m.jpg") == SHAPE).mean() > 0.98


def test_a_float_mask(tmp_path):
    values = square_mask(1).astype(np.float32)
    soft = values * 0.8 + 0.1
    for name, mask in (("hard", values), ("soft", soft), ("wide", values * 255)):
        path = save(tmp_path / f"{name}.tif", Image.fromarray(mask))
        assert np.array_equal(foreground(path), SHAPE), name


@pytest.mark.parametrize("value", [0, 255])
def test_even_opacity_leaves_the_colours(tmp_path, value):
    image = GREY.convert("RGBA")
    image.putalpha(value)
    assert np.array_equal(foreground(save(tmp_path / "m.png", image)), SHAPE)


@pytest.mark.parametrize("value", [1, 255, 4095, 65535])
def test_two_values_of_16_bits(tmp_path, value):
    mask = Image.fromarray(square_mask(1).astype(np.uint16) * value)
    assert np.array_equal(foreground(save(tmp_path / "m.png", mask)), SHAPE)


def test_what_is_taken_for_the_background_of_colours(tmp_path):
    red_on_black = np.where(SHAPE[..., None], (255, 0, 0), (0, 0, 0)).astype(np.uint8)
    black_first = palette(SHAPE, [(0, 0, 0), (255, 0, 0)])
    green_first = palette(SHAPE, [(0, 255, 0), (255, 0, 0)])
    rgb = Image.fromarray(red_on_black)
    expected = ((rgb, "black"), (black_first, "black"), (green_first, "index 0 of the palette"))
    for image, background in (*expected, (GREY, ""), (GREY.convert("RGB"), "")):
        path = save(tmp_path / "m.png", image)
        assert read_background(MaskFile(path, MaskRule.BINARY_OR_HALF)) == background


def refused(tmp_path, image, *parts, ending=".png"):
    path = tmp_path / f"m{ending}"
    image.save(path)
    with pytest.raises(InputError) as caught:
        foreground(path)
    assert all(part in str(caught.value) for part in (str(path), *parts)), str(caught.value)


def test_what_cannot_be_told_is_refused(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    red_on_green = np.where(SHAPE[..., None], (255, 0, 0), (0, 255, 0)).astype(np.uint8)
    refused(tmp_path, Image.fromarray(noise), "is a photograph")
    refused(
        tmp_path,
        Image.fromarray(red_on_green),
        "has colours and no black",
        "paint the background black",
    )
    refused(tmp_path, Image.fromarray(square_mask(7)), "holds no value above 7")
    labels = square_mask(2)
    labels[:2] = 255
    refused(tmp_path, Image.fromarray(labels), "holds labels, such as 2, and 255")
    deep = square_mask(1).astype(np.uint16) * 1000
    deep[0] = 7
    refused(tmp_path, Image.fromarray(deep), "holds no value above 1000 of 65535")
    refused(tmp_path, Image.fromarray(square_mask(1)), "save it as PNG", ending=".jpg")
    infinite = Image.fromarray(np.full((30, 40), np.inf, np.float32))
    refused(tmp_path, infinite, "not finite", ending=".tif")


def test_codes_are_taken_from_the_indices_whatever_the_colours(tmp_path):
    path = save(tmp_path / "m.png", palette(1 + ~SHAPE, [(0, 0, 0), (0, 0, 0), (255, 255, 255)]))
    assert np.array_equal(foreground(path, rule=MaskRule.TRIMAP), SHAPE)


class TestOrientation:
    def save_turned(self, root, orientation, of_mask):
        exif = Image.Exif()
        exif[0x0112] = orientation
        save_classes(root)
        mask = Image.fromarray(square_mask(255))
        for name in ("cat", "dog"):
            for number in range(5):
                photograph = Image.fromarray(square_pixels())
                photograph.save(root / name / f"{number}.png", exif=exif)
                mask.save(root / name / f"{number}_mask.png", **({"exif": exif} if of_mask else {}))

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_a_mask_is_turned_as_its_own_header_says(self, tmp_path, orientation):
        self.save_turned(tmp_path, orientation, of_mask=True)
        sample = open_data(str(tmp_path)).train[0]
        assert sample.foreground.shape[1:] == sample.image.shape[1:]
        red = (sample.image[0] > 200).numpy()
        assert np.array_equal(sample.foreground[0].numpy(), red)

    def test_a_mask_of_the_image_before_it_is_turned(self, tmp_path):
        self.save_turned(tmp_path, 6, of_mask=False)
        with pytest.raises(InputError, match=r"40 × 30 pixels, its image 30 × 40.*EXIF"):
            open_data(str(tmp_path))
