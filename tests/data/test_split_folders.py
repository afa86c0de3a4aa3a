"""Folders whose names say which split their images belong to."""

import pytest

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
from sib.data.split_names import split_of
from sib.data.understood import remarks


class TestSplitNames:
    @pytest.mark.parametrize(
        ("name", "split"),
        [
            ("train", "train"),
            ("Training", "train"),
            ("train_set", "train"),
            ("val2017", "validation"),
            ("test1", "test"),
            ("train_2017", "train"),
            ("val-2017", "validation"),
            ("Test.2017", "test"),
            ("images train 2017", "train"),
            ("trainset_2", "train"),
            ("train_737_max", None),
            ("train_1a", None),
            ("train1_2", None),
            ("test-tube", None),
            ("2017", None),
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
            ("train_2017", "val-2017", "test.2017"),
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

    @pytest.mark.parametrize(
        ("train", "test"), [("train", "test"), ("train2017", "test2017"), ("train_1", "test-1")]
    )
    def test_splits_without_class_folders(self, tmp_path, train, test):
        for split in (train, test):
            save(tmp_path / split / "1.png", square_pixels())
        refused(tmp_path, f"{test} and {train} hold no class folders")

    def test_a_test_without_class_folders(self, tmp_path):
        save_splits(tmp_path, ("train",))
        save(tmp_path / "test" / "1.png", square_pixels())
        refused(tmp_path, "test is a split by its name and holds no class folders, as train does")

    def test_what_may_be_a_split_or_a_class(self, tmp_path):
        save_classes(tmp_path / "train", ("night", "day"))
        save_classes(tmp_path, ("bus", "car"))
        refused(tmp_path, "train is a split by its name, and beside it bus holds images")
