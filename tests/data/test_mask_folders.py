"""Folders of masks under the names that data sets give them, among classes, splits and images."""

import numpy as np
import pytest
from PIL import Image

from helpers.pictures import all_names, open_folder, save, square_mask
from helpers.refusals import refused
from sib.data.understood import remarks

EXPECTED = square_mask(1).astype(bool)
COUNT = 5


def photograph(seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def save_photographs(root, classes=("cat", "dog"), unique=False):
    """Five photographs of each class; with names of their own in the whole set if ``unique``."""
    names = []
    for label, name in enumerate(classes):
        for number in range(COUNT):
            stem = f"{number + COUNT * label if unique else number}"
            save(root / name / f"{stem}.jpg", photograph(number))
            names.append((name, stem))
    return names


def save_labels(path):
    """A label map whose square has the colour of the fifteenth label."""
    image = Image.fromarray(square_mask(15), mode="P")
    image.putpalette([0, 0, 0, 128, 0, 0, *[64] * 39, 192, 128, 128])
    save(path, image)


def check(root, found=2 * COUNT, images=2 * COUNT, **options):
    splits = open_folder(root, **options)
    assert len(all_names(splits)) == images and splits.classes == ["cat", "dog"]
    assert sum(splits.description["foregrounds"].values()) == found
    for source in (splits.train, splits.validation, splits.test):
        for index, record in enumerate(source.records):
            if record.foreground is not None:
                assert np.array_equal(source[index].foreground[0].numpy(), EXPECTED)
    return remarks(splits)


NAMES = ("labels", "annotations", "ground_truth", "GroundTruth", "gt", "SegmentationClass", "Mask")


class TestAmongClasses:
    @pytest.mark.parametrize("tree", NAMES)
    @pytest.mark.parametrize("form", ["{}/{}.png", "{}/{}_mask.png"])
    def test_a_tree_with_folders_of_the_classes(self, tmp_path, tree, form):
        for name, stem in save_photographs(tmp_path):
            save(tmp_path / tree / form.format(name, stem), square_mask(255))
        assert check(tmp_path) == [f"masks: the folder {tree}"]

    @pytest.mark.parametrize("tree", NAMES)
    def test_a_tree_without_folders(self, tmp_path, tree):
        for _, stem in save_photographs(tmp_path, unique=True):
            save(tmp_path / tree / f"{stem}.png", square_mask(255))
        assert check(tmp_path) == [f"masks: the folder {tree}"]

    @pytest.mark.parametrize("tree", ["masks", *NAMES])
    def test_masks_that_may_be_of_several_images_are_not_used_but_reported(self, tmp_path, tree):
        for _, stem in save_photographs(tmp_path):
            save(tmp_path / tree / f"{stem}.png", square_mask(255))
        (remark,) = check(tmp_path, found=0)
        assert f"5 masks with the name of several images, the first: {tree}/0.png" in remark
        masks = tmp_path / tree
        refused(tmp_path, "0.png may be the mask of several images", masks=str(masks))

    @pytest.mark.parametrize("tree", ["masks", *NAMES])
    def test_masks_of_other_names_are_no_class_and_reported(self, tmp_path, tree):
        save_photographs(tmp_path)
        for number in range(COUNT):
            save(tmp_path / tree / f"GT_{number:04}.png", square_mask(255))
        (remark,) = check(tmp_path, found=0)
        assert remark == (f"left out: the folder {tree}, as no mask in it has the name of an image")

    def test_a_tree_of_each_class(self, tmp_path):
        for name, stem in save_photographs(tmp_path):
            save(tmp_path / f"{name}_masks" / f"{stem}.png", square_mask(255))
        assert check(tmp_path) == ["masks: the folders cat_masks, dog_masks"]

    def test_masks_of_some_classes(self, tmp_path):
        for name, stem in save_photographs(tmp_path):
            if name == "dog":
                save(tmp_path / "ground_truth" / name / f"{stem}_mask.png", square_mask(255))
        remark, masks = check(tmp_path, found=COUNT)
        assert masks == "masks: the folder ground_truth" and "cat/0.jpg" in remark

    def test_labels_in_a_palette(self, tmp_path):
        for name, stem in save_photographs(tmp_path):
            save_labels(tmp_path / "SegmentationClass" / name / f"{stem}.png")
        masks, colours = check(tmp_path)
        assert masks == "masks: the folder SegmentationClass"
        assert colours == (
            "8 of 8 masks hold colours, as of labels: everything but black is foreground"
        )

    def test_an_export_of_cvat_among_the_classes(self, tmp_path):
        """With lists of the images, colours for classes and for objects, and no labelmap.txt."""
        for _, stem in save_photographs(tmp_path, unique=True):
            save_labels(tmp_path / "SegmentationClass" / f"{stem}.png")
            save_labels(tmp_path / "SegmentationObject" / f"{stem}.png")
        lists = tmp_path / "ImageSets" / "Segmentation"
        lists.mkdir(parents=True)
        (lists / "default.txt").write_text("0\n1\n")
        masks, left_out, colours = check(tmp_path)
        assert masks == "masks: the folder SegmentationClass"
        assert left_out == (
            "left out: the folder SegmentationObject, whose masks have the names of those that are "
            "used (if they are the right ones, give --input.masks SegmentationObject); the folder "
            "ImageSets without images"
        )
        assert "8 of 8 masks hold colours" in colours

    @pytest.mark.parametrize("option", ["masks", "annotations"])
    def test_the_folder_of_an_export_leads_to_its_masks(self, tmp_path, option):
        for _, stem in save_photographs(tmp_path / "photographs", unique=True):
            save_labels(tmp_path / "export" / "SegmentationClass" / f"{stem}.png")
        (tmp_path / "export" / "labelmap.txt").write_text("# label:color_rgb:parts:actions\n")
        export = tmp_path / "export"
        parts = ("holds no ", str(export / "SegmentationClass"))
        refused(tmp_path / "photographs", *parts, **{option: str(export)})

    @pytest.mark.parametrize("name", ["mask", "no_mask", "labels"])
    def test_a_class_with_such_a_name_stays_one(self, tmp_path, name):
        save_photographs(tmp_path, ("cat", name))
        splits = open_folder(tmp_path)
        assert splits.classes == ["cat", name] and len(all_names(splits)) == 10

    def test_two_classes_of_black_and_white_images(self, tmp_path):
        for name in ("labels", "plates"):
            for number in range(COUNT):
                save(tmp_path / name / f"{number}.png", square_mask(255))
        assert open_folder(tmp_path).classes == ["labels", "plates"]

    @pytest.mark.parametrize("name", ["annotations", "labels"])
    def test_a_folder_of_annotations_is_no_class_and_reported(self, tmp_path, name):
        save_photographs(tmp_path)
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.xml").write_text("<annotation/>")
        (remark,) = check(tmp_path, found=0)
        assert remark.startswith(f"left out: the folder {name} without images")
        assert f"--input.annotations {name} reads them" in remark

    def test_photographs_that_are_not_read_are_no_annotations(self, tmp_path):
        save_photographs(tmp_path)
        (tmp_path / "mask").mkdir()
        (tmp_path / "mask" / "0.heic").write_bytes(b"")
        refused(tmp_path, "mask holds no image", "1 .heic")


class TestBesideSplits:
    @pytest.mark.parametrize("tree", NAMES)
    @pytest.mark.parametrize(
        "place", ["{tree}/{split}", "{split}/{tree}", "{tree}", "{split}_{tree}"]
    )
    def test_a_tree(self, tmp_path, tree, place):
        for split, classes in {"train": ("cat", "dog"), "test": ("cat", "dog")}.items():
            for name, stem in save_photographs(tmp_path / split, classes):
                if place != "{tree}" or split == "test":
                    folder = tmp_path / place.format(tree=tree, split=split)
                    save(folder / name / f"{stem}.png", square_mask(255))
        if place == "{tree}":  # may be of train or of test
            (remark,) = check(tmp_path, found=0, images=20)
            assert "10 masks with the name of several images" in remark
        else:
            (remark,) = check(tmp_path, found=20, images=20)
            assert remark.startswith("masks: the folder")

    def test_as_mvtec(self, tmp_path):
        """Masks of the test alone, whose names the training images do not have."""
        for number in range(COUNT):
            save(tmp_path / "train" / "cat" / f"{number}.png", photograph(1))
            save(tmp_path / "train" / "dog" / f"{number + 10}.png", photograph(2))
            save(tmp_path / "test" / "cat" / f"{number}.png", photograph(3))
            save(tmp_path / "test" / "dog" / f"{number}.png", photograph(4))
            save(tmp_path / "ground_truth" / "dog" / f"{number}_mask.png", square_mask(255))
        splits = open_folder(tmp_path)
        assert splits.description["foregrounds"] == {"train": 0, "validation": 0, "test": 5}
        assert "masks: the folder ground_truth" in remarks(splits)

    def test_several_objects_of_the_kind_of_mvtec_are_not_trained_on(self, tmp_path):
        for name in ("cat", "dog"):
            save_photographs(tmp_path / name / "test", ("good", "crack"))
            for number in range(COUNT):
                mask = tmp_path / name / "ground_truth" / "crack" / f"{number}_mask.png"
                save(mask, square_mask(255))
        found = check(tmp_path, found=10, images=20)
        assert any("without a foreground: cat/test/good/0.jpg" in remark for remark in found)


class TestBesideImages:
    @pytest.mark.parametrize("tree", NAMES)
    @pytest.mark.parametrize("form", ["{0}/{1}.png", "{1}.png"])
    def test_a_tree(self, tmp_path, tree, form):
        for name, stem in save_photographs(tmp_path / "images", unique=True):
            save(tmp_path / tree / form.format(name, stem), square_mask(255))
        assert check(tmp_path) == [f"masks: the folder {tree}"]

    def test_other_folders_are_reported(self, tmp_path):
        save_photographs(tmp_path / "images")
        save(tmp_path / "depth" / "cat" / "0.png", photograph(1))
        (tmp_path / "annotations").mkdir()
        (tmp_path / "annotations" / "0.xml").write_text("<annotation/>")
        (remark,) = check(tmp_path, found=0)
        assert "the folder depth beside the images" in remark
        assert "--input.annotations annotations reads them" in remark

    @pytest.mark.parametrize("tree", NAMES)
    def test_with_several_labels_an_image(self, tmp_path, tree):
        rows = ["image,labels"]
        for name, stem in save_photographs(tmp_path / "data" / "photos", unique=True):
            rows.append(f"{name}/{stem}.jpg,{name}")
            save(tmp_path / "data" / tree / f"{stem}.png", square_mask(255))
        (tmp_path / "l.csv").write_text("\n".join(rows))
        found = check(tmp_path / "data", labels=str(tmp_path / "l.csv"))
        assert f"masks: the folder {tree}" in found


def test_a_flat_tree_that_is_named(tmp_path):
    for _, stem in save_photographs(tmp_path / "photos", unique=True):
        save(tmp_path / "elsewhere" / f"{stem}.png", square_mask(255))
    check(tmp_path / "photos", masks=str(tmp_path / "elsewhere"))


class TestSamples:
    """A folder for each sample."""

    @pytest.mark.parametrize(
        ("photo", "mask"),
        [("image.png", "mask.png"), ("img.jpg", "label.png"), ("x.png", "GT.png")],
    )
    def test_of_a_photograph_and_its_mask(self, tmp_path, photo, mask):
        for name in ("cat", "dog"):
            for number in range(COUNT):
                save(tmp_path / name / f"s{number}" / photo, photograph(number))
                save(tmp_path / name / f"s{number}" / mask, square_mask(255))
        check(tmp_path)

    def test_of_several_images_are_refused(self, tmp_path):
        for name in ("cat", "dog"):
            for number in range(COUNT):
                for file in ("img.png", "depth.png"):
                    save(tmp_path / name / f"s{number}" / file, photograph(number))
                save(tmp_path / name / f"s{number}" / "label.png", square_mask(255))
        refused(tmp_path, "10 folders hold label.png beside depth.png, img.png")
        splits = open_folder(tmp_path, mask_ending="none")
        assert len(all_names(splits)) == 30

    def test_masks_of_each_object_are_reported(self, tmp_path):
        for name in ("cat", "dog"):
            for number in range(COUNT):
                save(tmp_path / name / f"s{number}" / "images" / "a.png", photograph(number))
                for part in ("b.png", "c.png"):
                    save(tmp_path / name / f"s{number}" / "masks" / part, square_mask(255))
        found = " ".join(check(tmp_path, found=0))
        assert "20 masks in folders beside images of other names, the first: cat/s0/masks" in found


def test_splits_inside_classes_are_refused(tmp_path):
    for name in ("cat", "dog"):
        save_photographs(tmp_path / name, ("train", "test"))
    refused(tmp_path, "each class holds the splits test and train", "as in train/cat")
