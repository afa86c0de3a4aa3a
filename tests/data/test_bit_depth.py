"""Images with 16 bits a value."""

import numpy as np
import pytest
from PIL import Image

from helpers.image_files import png
from helpers.pictures import (
    open_folder,
    save,
    save_classes,
)
from helpers.refusals import refused
from sib.data.understood import remarks


class TestBitDepth:
    def save_deep(self, root, highest):
        for name in ("cat", "dog"):
            for number in range(4):
                values = np.linspace(0, highest, 20 * 20).reshape(20, 20).astype(np.uint16)
                save(root / name / f"{number}.png", values)
        return root

    def test_12_bits_are_reported_and_can_be_stretched(self, tmp_path):
        root = self.save_deep(tmp_path, 4095)
        dark = open_folder(root)
        assert remarks(dark) == [
            "16-bit images use the values 0 to 4095 of 0 to 65535, so they look nearly black; "
            "--input.value-range 0-4095 stretches them"
        ]
        assert dark.train[0].image.max() == 16
        splits = open_folder(root, value_range="0-4095")
        assert splits.train[0].image.min() == 0 and splits.train[0].image.max() == 255
        assert splits.description["value_range"] == "0-4095" and remarks(splits) == []
        assert splits.train.fingerprints()[0] != dark.train.fingerprints()[0]
        assert splits.test.value_range == splits.validation.value_range == (0, 4095)

    def test_colours_of_16_bits_are_counted(self, tmp_path):
        for name in ("cat", "dog"):
            for number in range(3):
                path = tmp_path / name / f"{number}.png"
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(png(2, 1, 16, 2, b"\0" + b"\xff" * 12))
        (remark,) = remarks(open_folder(tmp_path))
        assert "images have 16 bits in each of three channels, of which the upper 8" in remark

    @pytest.mark.parametrize(
        ("ending", "odd"), [(".tif", 8), (".gif", 8), (".png", 8), (".jpg", 0)]
    )
    def test_further_frames_and_pages_are_counted(self, tmp_path, ending, odd):
        pages = [Image.fromarray(np.full((9, 9), level, np.uint8)) for level in (0, 255, 99)]
        for name in ("cat", "dog"):
            for number in range(5):
                path = tmp_path / name / f"{number}{ending}"
                path.parent.mkdir(exist_ok=True)
                kind = {"format": "MPO"} if ending == ".jpg" else {}
                pages[1].save(path, save_all=True, append_images=pages[2:], **kind)
        expected = f"{odd} images have several frames or pages, of which the first is read"
        assert remarks(open_folder(tmp_path)) == ([expected] if odd else [])

    def test_black_images_are_reported(self, tmp_path):
        for name in ("cat", "dog"):
            for number in range(3):
                save(tmp_path / name / f"{number}.png", np.zeros((9, 9), np.uint8))
        (remark,) = remarks(open_folder(tmp_path))
        assert remark == "8-bit images are black: all values that were looked at are 0"

    def test_all_16_bits_need_no_word(self, tmp_path):
        assert remarks(open_folder(self.save_deep(tmp_path, 65535))) == []

    WRONG = ("5-5", "-1-3", "0-65536", "9-2", "", "3", "a-b", "²-9", "0-99999")

    @pytest.mark.parametrize("value_range", WRONG)
    def test_a_range_that_is_none(self, tmp_path, value_range):
        refused(save_classes(tmp_path), "0 ≤ LOW < HIGH ≤ 65535", value_range=value_range)

    def test_a_published_set_has_none(self):
        refused("digits", "value_range cannot be given for digits", value_range="0-1")
