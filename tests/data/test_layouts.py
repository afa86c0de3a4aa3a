"""Each layout of a folder, opened as a user would."""

import json

import numpy as np
import torch

from helpers.pictures import (
    SQUARE,
    all_names,
    open_folder,
    save,
    save_classes,
    save_cub,
    save_leeds,
    save_palette,
    save_splits,
    square_mask,
    square_pixels,
)


def assert_square(foreground):
    assert foreground.dtype == torch.bool
    assert np.array_equal(foreground[0].numpy(), square_mask(1).astype(bool))


class TestClassFolders:
    def test_splits_are_disjoint_stratified_and_complete(self, tmp_path):
        save_classes(tmp_path, ("zebra", "ant"), count=10)
        splits = open_folder(tmp_path, test_fraction=0.2, validation_fraction=0.25)
        assert splits.classes == ["ant", "zebra"]
        assert splits.description["layout"] == "classes"
        names = all_names(splits)
        assert len(names) == 20 and len(set(names)) == 20
        assert [source.labels.count(0) for source in (splits.train, splits.validation)] == [6, 2]
        assert splits.test.labels == [0, 0, 1, 1]
        assert all(("ant" in name) == (label == 0) for name, label in zip_names(splits.train))

    def test_split_depends_on_its_seed_alone(self, tmp_path):
        save_classes(tmp_path, count=10)
        first, same, other = (open_folder(tmp_path, split_seed=seed) for seed in (0, 0, 1))
        assert first.test.names == same.test.names
        assert first.test.names != other.test.names
        assert first.description == same.description
        assert first.description["files_sha256"] == other.description["files_sha256"]
        assert first.description["splits_sha256"] != other.description["splits_sha256"]

    def test_validation_choice_does_not_move_the_test(self, tmp_path):
        save_classes(tmp_path, count=10)
        few, many = (open_folder(tmp_path, validation_fraction=share) for share in (0.1, 0.6))
        assert few.test.names == many.test.names
        assert len(few.validation) < len(many.validation)

    def test_ignores_hidden_and_other_files_and_reads_every_kind(self, tmp_path):
        kinds = ("JPG", "jpeg", "png", "bmp", "WebP", "tif", "tiff", "ppm")
        for number, kind in enumerate(kinds):
            save(tmp_path / "cat" / f"{number}.{kind}", square_pixels())
        save_classes(tmp_path, ("dog",), count=8)
        (tmp_path / "cat" / ".hidden.png").write_bytes(b"")
        (tmp_path / "cat" / "notes.txt").write_text("no image")
        (tmp_path / ".cache").mkdir()
        splits = open_folder(tmp_path)
        assert len(all_names(splits)) == 16
        assert {splits.train[i].image.shape for i in range(len(splits.train))} == {(3, 30, 40)}

    def test_images_in_deeper_folders_count(self, tmp_path):
        save_classes(tmp_path)
        save(tmp_path / "cat" / "more" / "deep.png", square_pixels())
        assert "cat/more/deep.png" in all_names(open_folder(tmp_path))

    def test_without_masks_nothing_is_annotated(self, tmp_path):
        splits = open_folder(save_classes(tmp_path))
        assert not splits.train.annotated
        assert splits.train[0].foreground is None

    def test_masks_beside_the_images(self, tmp_path):
        save_classes(tmp_path)
        for name in ("cat", "dog"):
            for number in range(5):
                save(tmp_path / name / f"{number}_mask.png", square_mask(255))
        splits = open_folder(tmp_path)
        assert len(all_names(splits)) == 10
        assert splits.train.annotated
        assert_square(splits.train[0].foreground)

    def test_masks_in_a_parallel_tree(self, tmp_path):
        save_classes(tmp_path, ending=".jpg")
        save(tmp_path / "masks" / "cat" / "0.png", square_mask(1))
        splits = open_folder(tmp_path)
        assert splits.classes == ["cat", "dog"]
        assert "cat/0.jpg" in all_names(splits)
        sources = (splits.train, splits.validation, splits.test)
        found = [s for s in sources if "cat/0.jpg" in s.names]
        assert_square(found[0][found[0].names.index("cat/0.jpg")].foreground)
        assert [source.annotated for source in sources].count(True) == 1

    def test_masks_elsewhere(self, tmp_path):
        save_classes(tmp_path / "photos")
        for name in ("cat", "dog"):
            for number in range(5):
                save(tmp_path / "other" / name / f"{number}.png", square_mask(200))
        splits = open_folder(tmp_path / "photos", masks=str(tmp_path / "other"))
        assert_square(splits.test[0].foreground)

    def test_description_is_json(self, tmp_path):
        description = open_folder(save_classes(tmp_path)).description
        assert json.loads(json.dumps(description)) == description
        assert description["images"] == {"train": 6, "validation": 2, "test": 2}


class TestTrainAndTest:
    def test_test_is_the_folders_own(self, tmp_path):
        splits = open_folder(save_splits(tmp_path))
        assert all(name.startswith("test/") for name in splits.test.names)
        assert len(splits.test) == 8
        assert all(name.startswith("train/") for name in splits.validation.names)
        assert not set(splits.validation.names) & set(splits.train.names)

    def test_val_is_taken_where_present(self, tmp_path):
        splits = open_folder(save_splits(tmp_path, ("train", "val", "test")))
        assert len(splits.train) == len(splits.validation) == 8
        assert all(name.startswith("val/") for name in splits.validation.names)

    def test_a_random_test_is_drawn_from_all_but_val(self, tmp_path):
        save_splits(tmp_path, ("train", "val", "test"))
        own = open_folder(tmp_path)
        drawn = [
            open_folder(tmp_path, test_split="random", test_fraction=0.25, split_seed=seed)
            for seed in range(4)
        ]
        for splits in drawn:
            assert set(all_names(splits)) == set(all_names(own))
            assert splits.validation.names == own.validation.names
            assert sorted(splits.test.labels) == [0, 0, 1, 1]
            assert splits.description["split_rule"].startswith("test: 0.25 of each class")
        assert len({tuple(splits.test.names) for splits in drawn}) == 4
        assert {name.split("/")[0] for s in drawn for name in s.test.names} == {"train", "test"}

    def test_a_random_test_of_classes_alone_is_what_it_was(self, tmp_path):
        save_classes(tmp_path, count=10)
        own, drawn = (open_folder(tmp_path, test_split=kind) for kind in ("own", "random"))
        assert own.description == drawn.description

    def test_masks_in_a_parallel_tree(self, tmp_path):
        save_splits(tmp_path)
        save(tmp_path / "masks" / "test" / "dog" / "1.png", square_mask(255))
        splits = open_folder(tmp_path)
        assert not splits.train.annotated
        assert_square(splits.test[splits.test.names.index("test/dog/1.png")].foreground)

    def test_a_class_may_lack_test_images(self, tmp_path):
        save_splits(tmp_path)
        save_classes(tmp_path / "train", ("bat",))
        splits = open_folder(tmp_path)
        assert splits.classes == ["bat", "cat", "dog"]
        assert set(splits.test.labels) == {1, 2}


class TestLeeds:
    def test_values_1_and_3_are_foreground(self, tmp_path):
        splits = open_folder(save_leeds(tmp_path))
        expected = square_mask(1).astype(bool)
        expected[0, 1] = True  # the value 3; the 2 beside it is background
        assert np.array_equal(splits.train[0].foreground[0].numpy(), expected)

    def test_lists_make_the_split(self, tmp_path):
        save_leeds(tmp_path)
        (tmp_path / "train.txt").write_text("cat/0\ncat/1\ndog/0\ndog/1\n\n")
        (tmp_path / "test.txt").write_text("cat/2\r\ndog/3\r\n")
        splits = open_folder(tmp_path)
        assert splits.test.names == ["images/cat/2.png", "images/dog/3.png"]
        assert sorted(splits.train.names + splits.validation.names) == [
            "images/cat/0.png",
            "images/cat/1.png",
            "images/dog/0.png",
            "images/dog/1.png",
        ]
        assert splits.description["unlisted"] == 4

    def test_without_segmentations_masks_are_looked_up(self, tmp_path):
        save_classes(tmp_path / "images")
        save(tmp_path / "masks" / "cat" / "0.png", square_mask(255))
        splits = open_folder(tmp_path)
        annotated = [s.annotated for s in (splits.train, splits.validation, splits.test)]
        assert sum(annotated) == 1

    def test_palette_colours_do_not_matter(self, tmp_path):
        save_leeds(tmp_path)
        for name in ("cat", "dog"):
            for number in range(5):
                save(tmp_path / "segmentations" / name / f"{number}_seg0.png", square_mask(1))
        grey = open_folder(tmp_path).train[0].foreground
        save_palette(tmp_path / "segmentations" / "cat" / "0_seg0.png", square_mask(1))
        assert torch.equal(grey, open_folder(tmp_path).train[0].foreground)
        assert grey[0][SQUARE].all()


class TestCub:
    def test_classes_stand_in_numeric_order(self, tmp_path):
        splits = open_folder(save_cub(tmp_path))
        assert splits.classes == ["009.Owl", "010.Blue Jay"]
        assert splits.test.names == ["images/9.Owl/c.png", "images/10.Jay/c.png"]
        assert splits.test.labels == [0, 1]
        assert len(splits.train) == len(splits.validation) == 2

    def test_class_names_come_from_the_folders_without_classes_txt(self, tmp_path):
        assert open_folder(save_cub(tmp_path, names=False)).classes == ["9.Owl", "10.Jay"]

    def test_boxes_are_the_foreground(self, tmp_path):
        assert_square(open_folder(save_cub(tmp_path)).train[0].foreground)

    def test_box_covers_the_pixels_whose_centre_it_holds_and_is_clipped(self, tmp_path):
        save_cub(tmp_path)
        file = tmp_path / "bounding_boxes.txt"
        file.write_text(file.read_text().replace("6 12.0 8.0 16.0 12.0", "6 -0.9 27.6 2.6 3.1"))
        rows, columns = np.nonzero(open_folder(tmp_path).test[0].foreground[0].numpy())
        assert set(rows) == {28, 29} and set(columns) == {0, 1}

    def test_segmentations_go_before_boxes(self, tmp_path):
        save_cub(tmp_path)
        mask = square_mask(127)
        mask[0, :2] = 128
        save(tmp_path / "segmentations" / "9.Owl" / "c.png", mask)
        splits = open_folder(tmp_path)
        assert splits.test[0].foreground.sum() == 2
        assert splits.test[1].foreground.sum() == 16 * 12

    def test_without_boxes_nothing_is_annotated(self, tmp_path):
        assert not open_folder(save_cub(tmp_path, boxes=False)).test.annotated


def zip_names(source):
    return zip(source.names, source.labels, strict=True)
