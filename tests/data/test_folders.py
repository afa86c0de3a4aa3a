"""Folders as people have them: split names, masks among photographs, files that are not read."""

import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from helpers.pictures import (
    all_names,
    save,
    save_classes,
    save_splits,
    square_mask,
    square_pixels,
)
from helpers.refusals import refused
from sib.data import open_data
from sib.data.beside import owner
from sib.data.split_names import split_of
from sib.data.understood import remarks, understood


def open_folder(root, **options):
    return open_data(str(root), **options)


def save_twins(root, ending, classes=("cat", "dog"), count=8, kind=".jpg"):
    """Photographs with masks beside them."""
    save_classes(root, classes, count=count, ending=kind)
    for name in classes:
        for number in range(count):
            save(root / name / f"{number}{ending}", square_mask(255))
    return root


class TestSplitNames:
    @pytest.mark.parametrize(
        ("name", "split"),
        [
            ("train", "train"),
            ("Training", "train"),
            ("train_set", "train"),
            ("seg_train", "train"),
            ("trainset", "train"),
            ("VALID", "validation"),
            ("val", "validation"),
            ("validation-images", "validation"),
            ("dev", "validation"),
            ("Testing", "test"),
            ("eval", "test"),
            ("trains", None),
            ("testify", None),
            ("cat", None),
            ("set", None),
            ("train_val_test", None),
        ],
    )
    def test_names(self, name, split):
        assert split_of(name) == split

    @pytest.mark.parametrize(
        ("train", "validation", "test"),
        [
            ("Training", "Valid", "Testing"),
            ("train", "dev", "eval"),
            ("TRAIN", "validation", "Test"),
        ],
    )
    def test_usual_names_in_any_case_are_splits(self, tmp_path, train, validation, test):
        save_splits(tmp_path, (train, validation, test))
        splits = open_folder(tmp_path)
        assert splits.classes == ["cat", "dog"]
        assert all(name.startswith(f"{train}/") for name in splits.train.names)
        assert all(name.startswith(f"{validation}/") for name in splits.validation.names)
        assert all(name.startswith(f"{test}/") for name in splits.test.names)
        assert len(all_names(splits)) == 24
        assert splits.description["split_rule"] == (
            f"test: the folder's own, {test}; validation: the folder's own, {validation}"
        )

    def test_training_and_testing_alone(self, tmp_path):
        splits = open_folder(save_splits(tmp_path, ("Training", "Testing")))
        assert splits.classes == ["cat", "dog"]
        assert len(splits.test) == 8 and len(splits.train) + len(splits.validation) == 8

    def test_without_a_test_one_is_held_out_of_the_training_images(self, tmp_path):
        splits = open_folder(save_splits(tmp_path, ("train", "val")))
        assert all(name.startswith("train/") for name in splits.test.names)
        assert all(name.startswith("val/") for name in splits.validation.names)
        assert [len(s) for s in (splits.train, splits.validation, splits.test)] == [6, 8, 2]

    def test_training_images_alone_are_divided(self, tmp_path):
        splits = open_folder(save_splits(tmp_path, ("train",)))
        assert splits.classes == ["cat", "dog"] and len(all_names(splits)) == 8

    def test_splits_in_images_with_their_masks_beside(self, tmp_path):
        save_splits(tmp_path / "images")
        save(tmp_path / "masks" / "test" / "cat" / "1.png", square_mask(255))
        splits = open_folder(tmp_path)
        assert splits.classes == ["cat", "dog"] and len(splits.test) == 8
        assert splits.description["foregrounds"]["test"] == 1

    def test_masks_inside_a_split(self, tmp_path):
        save_splits(tmp_path)
        save(tmp_path / "test" / "Masks" / "dog" / "3.png", square_mask(255))
        splits = open_folder(tmp_path)
        assert splits.classes == ["cat", "dog"]
        assert splits.description["foregrounds"] == {"train": 0, "validation": 0, "test": 1}

    def test_a_class_may_be_called_train(self, tmp_path):
        splits = open_folder(save_classes(tmp_path, ("bus", "train", "test")))
        assert splits.classes == ["bus", "test", "train"]

    def test_other_folders_are_left_out_and_reported(self, tmp_path):
        save_splits(tmp_path)
        save_classes(tmp_path / "extra")
        save(tmp_path / "stray.png", square_pixels())
        save(tmp_path / "train" / "stray.png", square_pixels())
        splits = open_folder(tmp_path)
        assert splits.classes == ["cat", "dog"]
        assert splits.description["folders_left_out"] == ["extra"]
        assert remarks(splits) == [
            "left out: 2 images outside of the class folders; the folder extra beside the splits"
        ]

    def test_two_folders_for_one_split(self, tmp_path):
        save_splits(tmp_path, ("train", "val", "valid", "test"))
        refused(tmp_path, "val and valid are both validation splits")

    def test_splits_without_class_folders(self, tmp_path):
        for split in ("train", "test"):
            save(tmp_path / split / "1.png", square_pixels())
        refused(tmp_path, "test and train hold no class folders")

    def test_a_test_without_class_folders(self, tmp_path):
        save_splits(tmp_path, ("train",))
        save(tmp_path / "test" / "1.png", square_pixels())
        refused(tmp_path, "test is a split by its name and holds no class folders, as train does")

    def test_what_may_be_a_split_or_a_class(self, tmp_path):
        save_classes(tmp_path / "train", ("night", "day"))
        save_classes(tmp_path, ("bus", "car"))
        refused(tmp_path, "train is a split by its name, and beside it bus holds images")


class TestMasksBeside:
    ENDINGS = ("_mask.PNG", "_masks.png", "_seg.png", "_mask.tif", "-mask.png", "_Segmentation.bmp")

    @pytest.mark.parametrize(
        "ending", [*ENDINGS, "_mask.jpg", "_MASK.png", ".mask.png", "_seg0.png"]
    )
    def test_each_is_the_mask_of_its_photograph(self, tmp_path, ending):
        splits = open_folder(save_twins(tmp_path, ending))
        assert len(all_names(splits)) == 16 and not any("mask" in n for n in all_names(splits))
        assert splits.description["foregrounds"] == {"train": 10, "validation": 2, "test": 4}
        found = splits.train[0].foreground[0].numpy()
        assert np.array_equal(found, square_mask(1).astype(bool))

    @pytest.mark.parametrize("name", ["mask_{}.png", "Seg-{}.png", "{}_MASK.png"])
    def test_words_before_the_name_and_stems_in_any_case(self, tmp_path, name):
        for folder in ("cat", "dog"):
            for number in range(5):
                photograph = Image.fromarray(square_pixels())
                save(tmp_path / folder / f"IMG_{number}.JPG", photograph)
                save(tmp_path / folder / name.format(f"img_{number}"), square_mask(255))
        splits = open_folder(tmp_path)
        assert len(all_names(splits)) == 10
        assert sum(splits.description["foregrounds"].values()) == 10

    def test_names_that_differ_in_their_case_alone_keep_their_masks(self, tmp_path):
        save_classes(tmp_path)
        for stem, rows in (("a", 3), ("A", 5)):
            mask = np.zeros((30, 40), np.uint8)
            mask[:rows] = 255
            save(tmp_path / "cat" / f"{stem}.png", square_pixels())
            save(tmp_path / "cat" / f"{stem}_mask.png", mask)
        splits = open_folder(tmp_path)
        found = {}
        for source in (splits.train, splits.validation, splits.test):
            for index, name in enumerate(source.names):
                if source.records[index].foreground is not None:
                    found[name] = int(source[index].foreground.sum())
        assert found == {"cat/a.png": 3 * 40, "cat/A.png": 5 * 40}

    @pytest.mark.parametrize(
        ("name", "words"), [("gt_{}.png", "begins with gt_"), ("{}gt.png", "ends with gt")]
    )
    def test_twins_of_other_forms(self, tmp_path, name, words):
        save_classes(tmp_path, count=12, ending=".jpg")
        for folder in ("cat", "dog"):
            for number in range(12):
                save(tmp_path / folder / name.format(number), square_mask(255))
        refused(tmp_path, "24 of 24 images have a twin", words, "--input.mask-ending none")

    def test_twins_of_several_kinds(self, tmp_path):
        save_twins(tmp_path, "_label.png")
        for name in ("cat", "dog"):
            for number in range(8):
                save(tmp_path / name / f"{number}_depth.png", square_mask(9))
        refused(tmp_path, "16 of 16 images have a twin", "--input.mask-ending none")

    def test_a_series_of_photographs_has_no_twins(self, tmp_path):
        for name in ("cat", "dog", "eel", "fox"):
            save(tmp_path / name / "img.png", square_pixels())
            for number in range(1, 10):
                save(tmp_path / name / f"img_{number}.png", square_pixels())
        assert len(all_names(open_folder(tmp_path))) == 40

    def test_numbers_are_no_twins(self, tmp_path):
        splits = open_folder(save_classes(tmp_path, count=30))
        assert len(all_names(splits)) == 60

    def test_a_photograph_called_mask_stays_one(self, tmp_path):
        save_classes(tmp_path)
        save(tmp_path / "cat" / "gas_mask.png", square_pixels())
        assert "cat/gas_mask.png" in all_names(open_folder(tmp_path))

    def test_masks_of_photographs_that_are_not_read(self, tmp_path):
        save_classes(tmp_path)
        (tmp_path / "cat" / "x.heic").write_bytes(b"")
        save(tmp_path / "cat" / "x_mask.png", square_mask(255))
        splits = open_folder(tmp_path)
        assert len(all_names(splits)) == 10
        assert splits.description["unread"] == {".heic": 1}

    @pytest.mark.parametrize(
        ("ending", "shown"), [("_label.png", "_label"), ("-gt.png", "-gt"), (".png", ".png")]
    )
    def test_twins_of_an_unknown_name_are_refused_and_settled(self, tmp_path, ending, shown):
        save_twins(tmp_path, ending)
        refused(tmp_path, "16 of 16 images have a twin", f"give --input.mask-ending {shown} if")
        masks = open_folder(tmp_path, mask_ending=shown)
        assert len(all_names(masks)) == 16
        assert sum(masks.description["foregrounds"].values()) == 16
        photographs = open_folder(tmp_path, mask_ending="none")
        assert len(all_names(photographs)) == 32
        assert sum(photographs.description["foregrounds"].values()) == 0

    def test_nearly_all_are_enough_and_a_few_are_not(self, tmp_path):
        save_twins(tmp_path, "_x.png", count=10)
        for number in (0, 1):
            (tmp_path / "cat" / f"{number}_x.png").unlink()
        refused(tmp_path, "18 of 20 images have a twin")
        (tmp_path / "cat" / "2_x.png").unlink()
        assert len(all_names(open_folder(tmp_path))) == 37

    def test_an_ending_that_no_mask_has(self, tmp_path):
        refused(save_classes(tmp_path), "no image", "ends with _gt", mask_ending="_gt")

    @pytest.mark.parametrize("ending", ["", "a/b", "\0"])
    def test_an_ending_that_is_none(self, tmp_path, ending):
        refused(save_classes(tmp_path), "mask_ending must be what follows", mask_ending=ending)

    def test_two_masks_of_one_photograph(self, tmp_path):
        save_twins(tmp_path, "_mask_1.png")
        save(tmp_path / "cat" / "3_mask_2.png", square_mask(255))
        refused(tmp_path, "cat/3.jpg has 2 masks", "join them")

    def test_a_folder_of_masks_inside_each_class(self, tmp_path):
        for name in ("cat", "dog"):
            for number in range(5):
                save(tmp_path / name / "images" / f"{number}.jpg", square_pixels())
                save(tmp_path / name / "Masks" / f"{number}.PNG", square_mask(255))
        splits = open_folder(tmp_path)
        assert len(all_names(splits)) == 10
        assert sum(splits.description["foregrounds"].values()) == 10

    def test_a_class_called_mask_stays_one(self, tmp_path):
        splits = open_folder(save_classes(tmp_path, ("mask", "no_mask")))
        assert splits.classes == ["mask", "no_mask"]

    def test_a_tree_with_the_names_of_the_classes(self, tmp_path):
        save_classes(tmp_path)
        for name in ("cat", "dog"):
            save(tmp_path / "labels" / name / "0.png", square_mask(255))
        refused(tmp_path, "labels holds folders with the names of the classes", "--input.masks")
        splits = open_folder(tmp_path, masks=str(tmp_path / "labels"))
        assert splits.classes == ["cat", "dog"]
        assert sum(splits.description["foregrounds"].values()) == 2

    @pytest.mark.parametrize("name", ["0.PNG", "0.tif", "0_mask.png", "0.jpg"])
    def test_a_parallel_tree_has_any_format(self, tmp_path, name):
        save_classes(tmp_path, ending=".jpeg")
        save(tmp_path / "MASKS" / "cat" / name, square_mask(255))
        splits = open_folder(tmp_path)
        assert splits.classes == ["cat", "dog"]
        assert sum(splits.description["foregrounds"].values()) == 1

    def test_masks_that_are_given_are_the_only_ones(self, tmp_path):
        save_twins(tmp_path / "set", "_mask.png")
        save(tmp_path / "other" / "cat" / "0.png", square_mask(255))
        splits = open_folder(tmp_path / "set", masks=str(tmp_path / "other"))
        assert len(all_names(splits)) == 16
        assert sum(splits.description["foregrounds"].values()) == 1

    @pytest.mark.parametrize(
        ("name", "ending", "photograph"),
        [
            ("a_mask.png", None, "a"),
            ("a_mask_12.png", None, "a"),
            ("a_mask_1234.png", None, None),
            ("_mask.png", None, None),
            ("mask_a.png", None, "a"),
            ("mask.png", None, None),
            ("a_mask.png", "none", None),
            ("a_LABEL.png", "_label", "a"),
            ("a_label.jpg", "_label.png", None),
            ("a.png", ".png", "a"),
            ("_label.png", "_label", None),
        ],
    )
    def test_owners(self, name, ending, photograph):
        assert owner(name, ending) == photograph


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


def colour16_png():
    """A PNG of 2 × 1 pixels with 16 bits in each of three channels."""
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes(13))),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


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
                path.write_bytes(colour16_png())
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


class TestLongImages:
    def test_one_that_resizing_would_make_huge_is_refused_from_its_header(self, tmp_path):
        save_classes(tmp_path)
        save(tmp_path / "cat" / "long.png", np.zeros((1, 30000), np.uint8))
        refused(tmp_path, "long.png is 30000 × 1 pixels", "134,217,728 pixels", image_size=224)
        assert len(all_names(open_folder(tmp_path, image_size=224, skip_bad=True))) == 10
