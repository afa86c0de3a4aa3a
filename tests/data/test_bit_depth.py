"""Images with 16 bits a value."""

import numpy as np
import pytest

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
                path.write_bytes(png(2, 1, 16, 2, bytes(13)))
        (remark,) = remarks(open_folder(tmp_path))
        assert "images have 16 bits in each of three channels, of which the upper 8" in remark

    def test_all_16_bits_need_no_word(self, tmp_path):
        assert remarks(open_folder(self.save_deep(tmp_path, 65535))) == []

    WRONG = ("5-5", "-1-3", "0-65536", "9-2", "", "3", "a-b", "²-9", "0-99999")

    @pytest.mark.parametrize("value_range", WRONG)
    def test_a_range_that_is_none(self, tmp_path, value_range):
        refused(save_classes(tmp_path), "0 ≤ LOW < HIGH ≤ 65535", value_range=value_range)

    def test_a_published_set_has_none(self):
        refused("digits", "value_range cannot be given for digits", value_range="0-1")
