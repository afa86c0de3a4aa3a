"""Masks among the photographs, beside them and in trees of their own."""

import numpy as np
import pytest
from PIL import Image

from helpers.pictures import (
    all_names,
    open_folder,
    save,
    save_classes,
    square_mask,
    square_pixels,
)
from helpers.refusals import refused
from sib.data.beside import owner
from sib.data.understood import remarks


def save_twins(root, ending, classes=("cat", "dog"), count=8, kind=".jpg"):
    """Photographs with masks beside them."""
    save_classes(root, classes, count=count, ending=kind)
    for name in classes:
        for number in range(count):
            save(root / name / f"{number}{ending}", square_mask(255))
    return root


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

    def test_twins_of_another_ending_than_the_given_one_are_reported(self, tmp_path):
        """Masks of a background and an object: only those of the given ending are masks."""
        save_twins(tmp_path, "_0.png")
        save_twins(tmp_path, "_1.png")
        splits = open_folder(tmp_path, mask_ending="_1")
        (said,) = [each for each in remarks(splits) if "twin" in each]
        assert said.startswith("16 of 16 images have a twin whose name ends with _0, such as ")
        assert said.endswith("; these count as photographs")
        assert not any(
            "twin" in each for each in remarks(open_folder(tmp_path, mask_ending="none"))
        )

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
            save(tmp_path / "extra" / name / "0.png", square_mask(255))
        refused(tmp_path, "extra holds folders with the names of the classes", "--input.masks")
        splits = open_folder(tmp_path, masks=str(tmp_path / "extra"))
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


@pytest.mark.parametrize("tree", ["masks", "Segmentations", "seg"])
@pytest.mark.parametrize("inner", ["images/", ""])
@pytest.mark.parametrize("several", [False, True])
def test_trees_of_masks_beside_images_in_splits(tmp_path, tree, inner, several):
    rows = ["image,labels"]
    for split in ("train", "test"):
        save_classes(tmp_path / inner / split, count=3)
        for name in ("cat", "dog"):
            for number in range(3):
                save(tmp_path / tree / split / name / f"{number}.png", square_mask(255))
                rows.append(f"{split}/{name}/{number}.png,{name}")
    labels = tmp_path / "labels.csv"
    labels.write_text("\n".join(rows))
    splits = open_folder(tmp_path, **({"labels": str(labels)} if several else {}))
    assert len(all_names(splits)) == 12
    assert sum(splits.description["foregrounds"].values()) == 12
    assert "folders_left_out" not in splits.description
    assert np.array_equal(splits.test[0].foreground[0].numpy(), square_mask(1).astype(bool))


def test_a_tree_of_another_name_beside_a_pool_of_images(tmp_path):
    save_classes(tmp_path / "images")
    for name in ("cat", "dog"):
        for number in range(5):
            save(tmp_path / "segmentations" / name / f"{number}.png", square_mask(255))
    assert sum(open_folder(tmp_path).description["foregrounds"].values()) == 10
