"""Files and images that are not used, and what is reported about them."""

import os

import numpy as np
from PIL import Image

from helpers.pictures import (
    all_names,
    open_folder,
    save,
    save_classes,
    save_splits,
    square_mask,
    square_pixels,
)
from helpers.refusals import refused
from sib.data.understood import remarks, understood


class TestWhatIsNotUsed:
    def test_part_of_the_foregrounds(self, tmp_path):
        save_classes(tmp_path / "set", count=8)
        for number in range(4):
            save(tmp_path / "masks" / "cat" / f"{number}.png", square_mask(255))
        splits = open_folder(tmp_path / "set", masks=str(tmp_path / "masks"))
        assert "4 of 16 with a foreground" in understood(splits)
        (remark,) = remarks(splits)
        assert remark.startswith("without a foreground: cat/") and remark.endswith(" and 9 more")

    def test_every_kind_that_is_read(self, tmp_path):
        kinds = [
            "jpg",
            "jpeg",
            "jpe",
            "jfif",
            "png",
            "gif",
            "bmp",
            "webp",
            "tif",
            "tiff",
            "ppm",
            "pgm",
            "avif",
            "jp2",
            "j2k",
        ]
        for number, kind in enumerate(kinds):
            path = tmp_path / "cat" / f"{number}.{kind}"
            path.parent.mkdir(exist_ok=True)
            grey = kind == "pgm"
            image = Image.fromarray(square_pixels()).convert("L" if grey else "RGB")
            image.save(path, {"jfif": "JPEG", "jpe": "JPEG"}.get(kind))
        save_classes(tmp_path, ("dog",), count=5)
        splits = open_folder(tmp_path)
        assert len(all_names(splits)) == len(kinds) + 5
        for source in (splits.train, splits.validation, splits.test):
            assert {source[index].image.shape for index in range(len(source))} == {(3, 30, 40)}

    def test_the_rest_is_counted_by_ending(self, tmp_path):
        save_classes(tmp_path)
        for name in ("a.heic", "b.HEIC", "c.eps", "d", "notes.txt", ".hidden"):
            (tmp_path / "dog" / name).write_bytes(b"")
        (remark,) = remarks(open_folder(tmp_path))
        assert remark == (
            "left out: files that are not read, 2 .heic, 1 .eps, 1 .txt, 1 without ending"
        )

    def test_a_class_of_unread_files_says_what_it_holds(self, tmp_path):
        save_classes(tmp_path)
        (tmp_path / "eel").mkdir()
        (tmp_path / "eel" / "a.heic").write_bytes(b"")
        refused(tmp_path, "eel holds no image", "and it holds 1 .heic")

    def test_names_that_are_not_unicode(self, tmp_path):
        save_classes(tmp_path, ("cat",))
        folder = os.fsencode(tmp_path) + b"/caf\xe9"
        os.mkdir(folder)
        content = (tmp_path / "cat" / "0.png").read_bytes()
        for number in range(4):
            with open(folder + b"/%d\xff.png" % number, "wb") as file:
                file.write(content)
        splits = open_folder(tmp_path)
        assert splits.classes == [r"caf\xe9", "cat"]
        assert r"caf\xe9/0\xff.png" in all_names(splits)
        assert "".join(all_names(splits)).encode()
        assert splits.train[0].image.shape == (3, 30, 40)


class TestSkippingBadImages:
    def test_empty_files_pages_and_masks_are_left_out_and_named(self, tmp_path):
        save_classes(tmp_path, count=10)
        (tmp_path / "cat" / "1.png").write_bytes(b"")
        (tmp_path / "cat" / "2.png").write_text("<!DOCTYPE html><html>404</html>")
        (tmp_path / "dog" / "3_mask.png").write_text("?")
        refused(tmp_path, "(and 2 more images with a problem)")
        splits = open_folder(tmp_path, skip_bad=True)
        assert not {"cat/1.png", "cat/2.png", "dog/3.png"} & set(all_names(splits))
        assert len(all_names(splits)) == 17
        assert splits.description["unreadable"] == 3
        (remark,) = remarks(splits)
        assert remark.startswith("left out: 3 images that cannot be read, the first: ")

    def test_the_others_keep_their_split(self, tmp_path):
        save_classes(tmp_path, count=10)
        whole = open_folder(tmp_path)
        (tmp_path / whole.train.names[0]).write_bytes(b"")
        splits = open_folder(tmp_path, skip_bad=True)
        assert splits.test.names == whole.test.names
        assert splits.train.names == whole.train.names[1:]

    def test_a_split_without_a_good_image(self, tmp_path):
        save_splits(tmp_path)
        for path in (tmp_path / "test").rglob("*.png"):
            path.write_bytes(b"")
        refused(tmp_path, "no test image can be read: ", skip_bad=True)


class TestLongImages:
    def test_one_that_resizing_would_make_huge_is_refused_from_its_header(self, tmp_path):
        save_classes(tmp_path)
        save(tmp_path / "cat" / "long.png", np.zeros((1, 30000), np.uint8))
        refused(tmp_path, "long.png is 30000 × 1 pixels", "134,217,728 pixels", image_size=224)
        assert len(all_names(open_folder(tmp_path, image_size=224, skip_bad=True))) == 10


def test_a_class_without_a_readable_training_image_is_refused(tmp_path):
    save_classes(tmp_path, count=8)
    for image in (tmp_path / "cat").iterdir():
        image.write_bytes(b"")
    refused(tmp_path, "no training image of the class cat can be read", skip_bad=True)
