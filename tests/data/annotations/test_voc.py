"""Foregrounds from Pascal VOC."""

import pytest

from helpers.annotated import NAMES, check_all, foregrounds, opened, voc, write
from sib.utils.errors import InputError


class TestVoc:
    def test_a_folder(self, folder, tmp_path):
        for number, name in enumerate(NAMES):
            write(tmp_path / "xml" / f"{number}-x.xml", voc(name))
        check_all(folder, tmp_path / "xml", "PASCAL VOC XML")

    def test_files_called_like_their_images(self, folder, tmp_path):
        for name in NAMES:
            path = (tmp_path / "xml" / name).with_suffix(".xml")
            write(path, voc(size=None, boxes=((12, 8, 20, 20), (20, 8, 28, 20))))
        check_all(folder, tmp_path / "xml", "PASCAL VOC XML")

    def test_one_file(self, folder, tmp_path):
        splits = opened(folder, write(tmp_path / "x.xml", voc("dog/3.png")))
        found = foregrounds(splits)
        assert [name for name, mask in found.items() if mask is not None] == ["dog/3.png"]

    def test_a_file_that_names_another_image_than_its_own_is_refused(self, folder, tmp_path):
        write(tmp_path / "xml" / "dog" / "3.xml", voc("dog/2.png"))
        with pytest.raises(
            InputError, match=r"names the image dog/2.png, but its own name matches"
        ):
            opened(folder, tmp_path / "xml")

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("<annotation><object/></annotation>", "object 0 has no <bndbox>"),
            (voc("dog/3.png", boxes=(("a", 1, 2, 3),)), "<xmin> must be a number"),
            (voc("dog/3.png", boxes=((9, 1, 2, 3),)), "must not be negative; got -7 × 2"),
            ("<annotation>", "is not valid XML"),
            ("<!DOCTYPE a [<!ENTITY b 'c'>]><annotation>&b;</annotation>", "document type"),
            ("<annotations/>", "This is CVAT's own XML"),
            ("<other/>", "holds no annotations that can be read"),
        ],
    )
    def test_wrong_files_are_refused(self, text, sentence, folder, tmp_path):
        with pytest.raises(InputError, match=r"x\.xml") as error:
            opened(folder, write(tmp_path / "x.xml", text))
        assert sentence in str(error.value)
