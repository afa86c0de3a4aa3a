"""Each bad input ends in one sentence that names the file or argument."""

import re

import pytest
from PIL import Image

from helpers.pictures import (
    replace_line,
    save,
    save_classes,
    save_cub,
    save_leeds,
    save_splits,
    square_mask,
    square_pixels,
)
from helpers.refusals import check_sentence, refused
from sib.data import JointTransform, make_loader, open_data
from sib.utils.errors import InputError


class TestFolders:
    def test_missing(self, tmp_path):
        refused(tmp_path / "none", "data: ", "none does not exist")

    def test_a_file(self, tmp_path):
        refused(save(tmp_path / "a.png", square_pixels()), "a.png is a file; give a folder")

    def test_empty_name(self):
        refused("", "data is empty")

    def test_nothing_in_it(self, tmp_path):
        refused(tmp_path, "holds no class folder", "at least two folders")

    def test_images_without_class_folders(self, tmp_path):
        save(tmp_path / "a.png", square_pixels())
        refused(tmp_path, "holds no class folder")

    def test_no_images_at_all(self, tmp_path):
        (tmp_path / "cat").mkdir()
        (tmp_path / "dog").mkdir()
        refused(tmp_path, "holds no image; jpg, png")

    def test_one_class(self, tmp_path):
        refused(save_classes(tmp_path, ("cat",)), "only the class folder cat")

    def test_empty_class(self, tmp_path):
        save_classes(tmp_path)
        (tmp_path / "eel").mkdir()
        refused(tmp_path, "eel holds no image")

    def test_class_too_small_for_three_parts(self, tmp_path):
        save_classes(tmp_path)
        save_classes(tmp_path, ("eel",), count=2)
        refused(tmp_path, "class eel has 2 images", "at least 3")

    def test_three_images_are_enough(self, tmp_path):
        splits = open_data(str(save_classes(tmp_path, count=3)), test_fraction=0.9)
        assert len(splits.train) == len(splits.validation) == len(splits.test) == 2

    def test_class_too_small_for_validation(self, tmp_path):
        save_splits(tmp_path)
        save_classes(tmp_path / "train", ("eel",), count=1)
        refused(tmp_path, "class eel has 1 image to", "at least 2")

    @pytest.mark.parametrize("present", ["test", "val", "Testing"])
    def test_no_images_to_train_on(self, tmp_path, present):
        save_splits(tmp_path, (present,))
        refused(tmp_path, f"has no folder train; it holds {present}")

    def test_class_only_in_test(self, tmp_path):
        save_splits(tmp_path)
        save_classes(tmp_path / "test", ("eel",))
        refused(tmp_path, "test has the class eel, which train lacks")

    def test_empty_class_in_test(self, tmp_path):
        save_splits(tmp_path)
        (tmp_path / "train" / "eel").mkdir()
        refused(tmp_path, "eel holds no image")

    @pytest.mark.parametrize("value", [0, 1, -0.1, 1.5, float("nan")])
    @pytest.mark.parametrize("name", ["validation_fraction", "test_fraction"])
    def test_fractions(self, tmp_path, name, value):
        refused(save_classes(tmp_path), f"{name} must lie between 0 and 1", **{name: value})

    def test_seed(self, tmp_path):
        refused(save_classes(tmp_path), "split_seed must be at least 0; got -1", split_seed=-1)

    def test_test_split(self, tmp_path):
        refused(save_classes(tmp_path), "must be own or random; got 'other'", test_split="other")


class TestImages:
    @pytest.mark.parametrize("content", [b"", b"no image at all", b"\x89PNG\r\n\x1a\n\0\0"])
    def test_bad_header_is_found_when_opened(self, tmp_path, content):
        save_classes(tmp_path)
        (tmp_path / "cat" / "2.png").write_bytes(content)
        refused(tmp_path, "2.png cannot be read as an image")

    def test_further_problems_are_counted(self, tmp_path):
        save_classes(tmp_path)
        for name in ("1.png", "2.png", "4.png"):
            (tmp_path / "cat" / name).write_bytes(b"")
        listed = "; sib data check lists them, and --on-bad-image skip leaves them out"
        refused(tmp_path, "cat/", "1.png cannot be read as an image: it is empty (and 2", listed)

    def test_a_link_to_nothing_is_named(self, tmp_path):
        save_classes(tmp_path)
        (tmp_path / "cat" / "link.png").symlink_to("/nowhere/x.png")
        refused(tmp_path, "is missing: it is a link to /nowhere/x.png; --on-bad-image skip")

    @pytest.mark.parametrize("ending", [".jpg", ".png", ".bmp", ".webp", ".tif", ".ppm"])
    def test_cut_off_image_is_found_when_read(self, tmp_path, ending):
        path = save(tmp_path / "a" / f"x{ending}", square_pixels(300, 300))
        save_classes(tmp_path, ("b",), count=3)
        for name in ("y", "z"):
            save(tmp_path / "a" / f"{name}{ending}", square_pixels())
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(InputError) as caught:
            read_all(open_data(str(tmp_path)))
        check_sentence(str(caught.value), f"x{ending} cannot be read as an image")

    def test_floating_point_image(self, tmp_path):
        save_classes(tmp_path, ending=".tif")
        save(tmp_path / "cat" / "0.tif", Image.new("F", (40, 30)))
        with pytest.raises(InputError, match=r"0\.tif holds floating-point numbers"):
            read_all(open_data(str(tmp_path)))

    def test_file_that_vanished(self, tmp_path):
        splits = open_data(str(save_classes(tmp_path)))
        (tmp_path / splits.test.names[0]).unlink()
        with pytest.raises(InputError, match="is missing"):
            splits.test[0]


class TestMasks:
    def test_unreadable(self, tmp_path):
        save_classes(tmp_path)
        (tmp_path / "cat" / "1_mask.png").write_bytes(b"?")
        refused(tmp_path, "1_mask.png cannot be read as an image")

    def test_another_size(self, tmp_path):
        save_classes(tmp_path)
        save(tmp_path / "masks" / "cat" / "1.png", square_mask(1, 40, 30))
        refused(tmp_path, "1.png is 30 × 40 pixels, its image 40 × 30")

    def test_codes_of_a_label_map(self, tmp_path):
        save_classes(tmp_path)
        for name in ("cat", "dog"):
            for number in range(5):
                save(tmp_path / "masks" / name / f"{number}.png", square_mask(7))
        with pytest.raises(InputError, match="holds no value above 7"):
            read_all(open_data(str(tmp_path)))

    @pytest.mark.parametrize(
        ("content", "part"),
        [(square_mask(255), "holds the value 255"), (square_pixels(), "is a colour image")],
    )
    def test_leeds_mask_of_other_values(self, tmp_path, content, part):
        save_leeds(tmp_path)
        for name in ("cat", "dog"):
            for number in range(5):
                save(tmp_path / "segmentations" / name / f"{number}_seg0.png", content)
        with pytest.raises(InputError, match=part):
            read_all(open_data(str(tmp_path)))

    def test_missing_mask_folder(self, tmp_path):
        refused(save_classes(tmp_path), "masks: ", "does not exist", masks=str(tmp_path / "none"))

    def test_mask_folder_without_a_fitting_mask(self, tmp_path):
        save_classes(tmp_path / "photos")
        save(tmp_path / "other" / "cat" / "0_segmented.png", square_mask(1))
        refused(tmp_path / "photos", "holds no mask for cat/0.png", masks=str(tmp_path / "other"))


class TestLists:
    @pytest.mark.parametrize(
        ("line", "part"),
        [
            ("cat/9", "there is no image images/cat/9.*"),
            ("eel/0", "there is no image images/eel/0.*"),
            ("cat", "expected <class>/<stem>; got 'cat'"),
            ("cat/1 x", "expected <class>/<stem>"),
            ("cat/0", "cat/0 is listed twice"),
        ],
    )
    def test_bad_line(self, tmp_path, line, part):
        save_leeds(tmp_path)
        (tmp_path / "train.txt").write_text(f"cat/0\n\n{line}\n")
        (tmp_path / "test.txt").write_text("dog/0\n")
        refused(tmp_path, "train.txt, line 3: ", part)

    def write_lists(self, root, train, test):
        save_leeds(root)
        (root / "train.txt").write_text(train)
        (root / "test.txt").write_text(test)

    def test_one_image_in_both(self, tmp_path):
        self.write_lists(tmp_path, "cat/0\ncat/1\ndog/0\ndog/1\n", "cat/1\n")
        refused(tmp_path, "train.txt and test.txt both list images/cat/1.png")

    def test_class_only_in_test(self, tmp_path):
        self.write_lists(tmp_path, "cat/0\ncat/1\n", "dog/1\n")
        refused(tmp_path, "test.txt: no training image shows dog")

    def test_empty_list(self, tmp_path):
        self.write_lists(tmp_path, "cat/0\ndog/1\n", "\n")
        refused(tmp_path, "test.txt lists no image")

    def test_one_list_without_the_other(self, tmp_path):
        save_leeds(tmp_path)
        (tmp_path / "train.txt").write_text("cat/0\n")
        refused(tmp_path, "test.txt is missing")

    def test_list_that_is_no_text(self, tmp_path):
        self.write_lists(tmp_path, "cat/0\n", "cat/1\n")
        (tmp_path / "test.txt").write_bytes(b"\xff\xfe\x00")
        refused(tmp_path, "test.txt is not a text file")

    def test_two_images_of_one_stem(self, tmp_path):
        save_leeds(tmp_path)
        save(tmp_path / "images" / "cat" / "0.jpg", square_pixels())
        refused(tmp_path, "share one stem", "0.jpg", "0.png")


class TestCub:
    @pytest.mark.parametrize(
        ("file", "line", "part"),
        [
            ("images.txt", "5", "expected <id> <path>; got '5'"),
            ("images.txt", "x y.png", "expected <id> <path>"),
            ("images.txt", "3 9.Owl/b.png", "id 3 is duplicated"),
            ("train_test_split.txt", "5 2", "expected <id> <0 or 1>; got '5 2'"),
            ("train_test_split.txt", "77 1", "images.txt has no image id 77"),
            ("image_class_labels.txt", "5 owl", "expected <id> <class id>"),
            ("image_class_labels.txt", "3 9", "id 3 is duplicated"),
            ("bounding_boxes.txt", "5 1 2 3", "expected <id> <x> <y> <width> <height>"),
            ("bounding_boxes.txt", "5 1 2 3 nan", "expected <id> <x> <y> <width> <height>"),
        ],
    )
    def test_bad_line(self, tmp_path, file, line, part):
        replace_line(save_cub(tmp_path) / file, 2, line)
        refused(tmp_path, f"{file}, line 2: ", part)

    @pytest.mark.parametrize(
        "file", ["train_test_split.txt", "image_class_labels.txt", "bounding_boxes.txt"]
    )
    def test_lacking_line(self, tmp_path, file):
        replace_line(save_cub(tmp_path) / file, 2, "")
        refused(tmp_path, f"{file}: there is no line for image id 5")

    def test_missing_image(self, tmp_path):
        (save_cub(tmp_path) / "images" / "9.Owl" / "b.png").unlink()
        refused(tmp_path, "images.txt: there is no image ", "b.png")

    @pytest.mark.parametrize(
        ("box", "part"),
        [
            ("0 0 41.5 5", "leaves its image of 40 × 30 pixels by more than 1"),
            ("-1.5 0 5 5", "leaves its image"),
            ("0 -1.5 5 5", "leaves its image"),
            ("0 26 5 5.5", "leaves its image"),
            ("0 0 0 5", "width and height must be above 0; got 0 × 5"),
            ("0 0 5 -2", "width and height must be above 0; got 5 × -2"),
        ],
    )
    def test_bad_box(self, tmp_path, box, part):
        replace_line(save_cub(tmp_path) / "bounding_boxes.txt", 2, f"5 {box}")
        refused(tmp_path, "images/9.Owl/b.png", part)

    def test_class_without_images(self, tmp_path):
        with (save_cub(tmp_path) / "classes.txt").open("a") as file:
            file.write("11 011.Crow\n")
        refused(tmp_path, "classes.txt: no image shows class 11")

    def test_class_without_a_name(self, tmp_path):
        replace_line(save_cub(tmp_path) / "classes.txt", 2, "")
        refused(tmp_path, "classes.txt: there is no line for class 10")

    def test_class_only_in_test(self, tmp_path):
        file = save_cub(tmp_path) / "train_test_split.txt"
        for number, identity in ((4, 11), (5, 12)):
            replace_line(file, number, f"{identity} 0")
        refused(tmp_path, "no training image shows 010.Blue Jay")

    def test_no_test_image(self, tmp_path):
        file = save_cub(tmp_path) / "train_test_split.txt"
        file.write_text(file.read_text().replace(" 0", " 1"))
        refused(tmp_path, "at least one image needs a 1 and one a 0")

    def test_one_class(self, tmp_path):
        file = save_cub(tmp_path, names=False) / "image_class_labels.txt"
        file.write_text(re.sub(r" \d+\n", " 9\n", file.read_text()))
        refused(tmp_path, "at least two folders")


class TestArguments:
    @pytest.mark.parametrize(
        ("option", "part"),
        [
            ({"image_size": 0}, "image_size must be at least 2; got 0"),
            (
                {"augment": "rotate"},
                "augment must be one of none, flip, crop, randaugment, trivial; got 'rotate'",
            ),
            ({"batch_size": 0}, "batch_size must be at least 1; got 0"),
            ({"seed": -1}, "seed must be at least 0; got -1"),
            ({"workers": -1}, "workers must be at least 0; got -1"),
            ({"train": False, "augment": "flip"}, "augment must be none where train is False"),
        ],
    )
    def test_loader(self, option, part):
        options = {"image_size": 48, "batch_size": 4, "train": True} | option
        with pytest.raises(InputError) as caught:
            make_loader(open_data("digits", train_size=20, test_size=10).train, **options)
        check_sentence(str(caught.value), part)

    @pytest.mark.parametrize(
        ("option", "part"),
        [
            ({"train_size": 19}, "train_size must be at least 20; got 19"),
            ({"test_size": 9}, "test_size must be at least 10; got 9"),
            ({"background_strength": 1.1}, "background_strength must lie in [0, 1]; got 1.1"),
            ({"image_size": 15}, "image_size must be at least 16; got 15"),
            ({"image_size": 0}, "image_size must be at least 16; got 0"),
            ({"masks": "x"}, "masks cannot be given for digits"),
            ({"split_seed": -1}, "split_seed must be at least 0"),
            ({"test_split": "random"}, "test_split must be own for digits"),
        ],
    )
    def test_digits(self, option, part):
        refused("digits", part, **option)

    def test_transform(self):
        with pytest.raises(InputError, match="image_size must be at least 2"):
            JointTransform(0)


def read_all(splits):
    for source in (splits.train, splits.validation, splits.test):
        for index in range(len(source)):
            source[index]
