"""Images from strangers: how large, of which formats, and where lists of them may point."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.image_files import encoded, png_chunk, png_header
from helpers.pictures import save, save_classes, square_pixels
from sib.data.datasets import cub
from sib.data.headers import check_headers
from sib.data.readers.decode import MAX_PIXELS, read_image, read_size
from sib.data.readers.masks import read_foreground
from sib.data.records import RecordSource
from sib.data.sample import MaskFile, MaskRule, Record
from sib.utils.errors import InputError

SENTENCE = "an image or mask may have 134,217,728, so make it smaller"


@pytest.fixture(autouse=True)
def _no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


# Pillow warns from 89 million pixels on and refuses from 179 million on.
@pytest.mark.parametrize(
    ("width", "height", "found"),
    [
        (2**14, 2**13 + 1, "16384 × 8193"),
        (2**30, 2**30, "far more"),
        (MAX_PIXELS + 1, 1, "134217729 × 1"),
    ],
)
def test_too_many_pixels_are_refused_from_the_header(tmp_path, width, height, found):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(width, height))
    for read in (read_size, read_image, lambda p: read_foreground(mask_of(p), (height, width))):
        with pytest.raises(InputError) as refused:
            read(path)
        assert str(refused.value) == f"{path} has {found} pixels; {SENTENCE}"


def mask_of(path):
    return MaskFile(path, MaskRule.HALF)


def test_the_largest_size_is_read_without_a_warning(tmp_path):
    path = tmp_path / "large.png"
    path.write_bytes(png_header(2**14, 2**13))
    assert read_size(path) == (2**13, 2**14)


def test_a_data_set_with_a_bomb_is_refused_before_any_is_decoded(tmp_path):
    good = save(tmp_path / "good.png", square_pixels())
    bomb = tmp_path / "bomb.png"
    bomb.write_bytes(png_header(2**15, 2**13))
    with pytest.raises(InputError, match=SENTENCE):
        check_headers([Record(good, 0, None, "good"), Record(bomb, 0, None, "bomb")])
    with pytest.raises(InputError, match=SENTENCE):
        check_headers([Record(good, 0, mask_of(bomb), "good")])
    with pytest.raises(InputError, match=SENTENCE):
        RecordSource([Record(bomb, 0, None, "bomb")], ["a"])[0]


def test_a_program_for_ghostscript_is_no_image(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    with pytest.raises(InputError, match=r"a\.png cannot be read as an image"):
        read_size(path)


def test_a_gif_under_another_name_is_read(tmp_path):
    """Oxford-IIIT Pet has some."""
    with open(tmp_path / "a.jpg", "wb") as file:
        Image.fromarray(np.zeros((3, 4), np.uint8)).save(file, "GIF")
    assert read_image(tmp_path / "a.jpg").shape == (3, 3, 4)


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("../secret.png", "'../secret.png' is not a path below"),
        ("cat/../../secret.png", "is not a path below"),
        ("/etc/hostname", "'/etc/hostname' is not a path below"),
        (".", r"'\.' is not a path below"),
        ("cat/\0.png", "is not a path below"),
        ("c" * 300 + "/0.png", "there is no image"),
    ],
)
def test_a_list_cannot_point_out_of_its_folder(tmp_path, path, sentence):
    save_classes(tmp_path / "images", count=1)
    save(tmp_path / "secret.png", square_pixels())
    Path(tmp_path, "images.txt").write_text(f"1 {path}\n2 dog/0.png\n")
    Path(tmp_path, "train_test_split.txt").write_text("1 1\n2 0\n")
    Path(tmp_path, "image_class_labels.txt").write_text("1 1\n2 2\n")
    with pytest.raises(InputError, match=sentence):
        cub.read(tmp_path, None)


def test_the_header_and_the_pixels_agree_on_an_orientation_behind_the_pixels(tmp_path):
    """A PNG may name its orientation at its end, which the header does not see."""
    image, exif = Image.fromarray(np.zeros((3, 5), np.uint8)), Image.Exif()
    exif[0x0112] = 6
    whole = encoded(image, "PNG")
    body = exif.tobytes().removeprefix(b"Exif\0\0")
    path = tmp_path / "late.png"
    path.write_bytes(whole[:-12] + png_chunk(b"eXIf", body) + whole[-12:])
    assert read_image(path).shape == (3, *read_size(path)) == (3, 3, 5)
