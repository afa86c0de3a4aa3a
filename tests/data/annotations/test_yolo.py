"""Foregrounds from YOLO."""

import numpy as np
import pytest

from helpers.annotated import EXPECTED, NAMES, POLYGON, foregrounds, opened, write
from sib.data.annotation_notes import NOTE, sentences
from sib.data.readers.annotations import read_annotations
from sib.utils.errors import InputError


class TestYolo:
    @pytest.mark.parametrize(
        "line",
        [
            "0 0.5 0.466666667 0.4 0.4",
            "3 0.5 0.466666667 0.4 0.4 0.87",
            "1 " + " ".join(str(v / (30 if i % 2 else 40)) for i, v in enumerate(POLYGON)),
            "0 0.4 0.466666667 0.2 0.4\n\n1 0.6 0.466666667 0.2 0.4\n",
        ],
    )
    def test_boxes_and_polygons(self, line, folder, tmp_path):
        for name in NAMES:
            write((tmp_path / "labels" / name).with_suffix(".txt"), line)
        write(tmp_path / "labels" / "classes.txt", "a cat\na dog\n")
        splits = opened(folder, tmp_path / "labels")
        assert all(np.array_equal(mask, EXPECTED) for mask in foregrounds(splits).values())
        assert sentences(splits.description) == [
            "annotations: YOLO text; 10 of 10 images have a foreground",
            "1 file is not of this format, the first: classes.txt",
        ]

    def test_an_empty_file_is_an_image_without_an_object(self, folder, tmp_path):
        for name in NAMES:
            line = "" if name == "dog/4.png" else "0 0.5 0.5 0.4 0.4"
            write((tmp_path / "labels" / name).with_suffix(".txt"), line)
        splits = opened(folder, tmp_path / "labels")
        assert foregrounds(splits)["dog/4.png"] is None
        assert splits.description[NOTE]["annotated"] == 9
        assert splits.description[NOTE]["empty"] == [1, "dog/4.png"]

    @pytest.mark.parametrize(
        ("line", "sentence"),
        [
            ("0 20 14 16 12", "line 2: a fraction must be a number within ±2; got '20'"),
            ("0 0.5 0.5 -0.4 0.4", "line 2: a box's width and height must not be negative"),
            ("0 0.5 0.5", "line 2: a class and 4 numbers of a box"),
            ("0 0.1 0.1 0.2 0.2 0.3 0.3 0.4", "line 2: a class and 4 numbers of a box"),
            ("cat 0.5 0.5 0.4 0.4", "line 2: a line begins with the number of a class"),
            ("0 nan 0.5 0.4 0.4", "line 2: a fraction must be a number"),
        ],
    )
    def test_wrong_lines_are_refused(self, line, sentence, folder, tmp_path):
        write(tmp_path / "labels" / "dog" / "1.txt", f"0 0.5 0.5 0.4 0.4\n{line}\n")
        with pytest.raises(InputError, match=r"dog/1\.txt") as error:
            opened(folder, tmp_path / "labels")
        assert sentence in str(error.value)


def test_keypoints_behind_a_yolo_box_are_not_a_polygon(tmp_path):
    (tmp_path / "0.txt").write_text("0 0.5 0.5 0.4 0.4 0.3 0.3 2 0.4 0.4 1\n")
    with pytest.raises(InputError, match="box and keypoints"):
        read_annotations(tmp_path)


BOX_LINE = "0 0.5 0.466666667 0.4 0.4"
"""The square as a box."""
IN_BOX = ("0.4 0.4", "0.6 0.5", "0.5 0.6")
SCATTERED = ("0.9 0.1", "0.1 0.9", "0.9 0.9")


def keypoints(folder, points, yaml=None, name="data.yaml"):
    """The square's box in every image, with keypoints behind it; the folder of labels."""
    for image in NAMES:
        write((folder / "train" / "labels" / image).with_suffix(".txt"), " ".join(points))
    if yaml is not None:
        write(folder / name, yaml)
    return folder / "train" / "labels"


class TestKeypoints:
    @pytest.mark.parametrize("points", [IN_BOX, SCATTERED, [f"{p} 1" for p in IN_BOX * 2]])
    def test_what_may_be_polygons_or_keypoints_is_refused(self, points, folder, tmp_path):
        labels = keypoints(tmp_path / "set", [BOX_LINE, *points])
        with pytest.raises(InputError, match="may be polygons, or boxes with keypoints"):
            opened(folder, labels)

    @pytest.mark.parametrize("name", ["data.yaml", "coco8-pose.yml"])
    @pytest.mark.parametrize("numbers", [2, 3])
    def test_kpt_shape_of_the_data_set_decides(self, numbers, name, folder, tmp_path):
        points = [point + " 2" * (numbers - 2) for point in IN_BOX]
        yaml = f"nc: 1\nkpt_shape: [3, {numbers}]\n"
        labels = keypoints(tmp_path / "set", [BOX_LINE, *points], yaml, name)
        splits = opened(folder, labels)
        assert all(np.array_equal(mask, EXPECTED) for mask in foregrounds(splits).values())
        assert sentences(splits.description) == [
            "annotations: YOLO text, boxes with 3 keypoints that are not used "
            f"(kpt_shape in {name}); 10 of 10 images have a foreground"
        ]

    def test_names_without_kpt_shape_mean_polygons(self, tmp_path):
        labels = keypoints(tmp_path, [BOX_LINE, *IN_BOX], "names: {0: cat}\n")
        points = read_annotations(labels).annotations[0].shapes[0].points
        assert points[2:] == ((0.4, 0.4), (0.6, 0.5), (0.5, 0.6))

    def test_lines_of_several_lengths_are_polygons(self, folder, tmp_path):
        labels = keypoints(tmp_path / "set", [BOX_LINE, *IN_BOX])
        write(labels / "cat" / "0.txt", " ".join([BOX_LINE, *IN_BOX[:2]]))
        assert "YOLO text;" in sentences(opened(folder, labels).description)[0]

    @pytest.mark.parametrize(
        ("yaml", "sentence"),
        [
            ("kpt_shape: [4, 2]", "12 numbers, of a box and 4 × 2 of keypoints, are needed"),
            ("kpt_shape: [3, 4]", "must be the number of keypoints and 2 or 3"),
            ("kpt_shape: 3", "must be the number of keypoints and 2 or 3"),
            ("kpt_shape: [", "data.yaml cannot be read: while parsing"),
        ],
    )
    def test_a_wrong_kpt_shape_is_refused(self, yaml, sentence, tmp_path):
        with pytest.raises(InputError) as error:
            read_annotations(keypoints(tmp_path, [BOX_LINE, *IN_BOX], yaml))
        assert sentence in str(error.value)
        assert "\n" not in str(error.value)

    @pytest.mark.parametrize(
        ("yaml", "place", "labels", "own"),
        [
            ("names: [a]", ".", "labels/train", True),
            ("names: [a]", ".", "labels/train_2017", True),
            ("names: [a]", ".", "mine", False),
            ("names: [a]", "..", "mine/labels", False),
            ("names: [a]\ntrain: ../train/images\nval: ../valid/images", ".", "train/labels", True),
            ("names: [a]\npath: ../sets/mine\ntrain: images/train", ".", "labels/train", True),
            ("names: [a]\npath: /home/x/mine\ntrain: [images/a, images]", ".", "labels", True),
            ("names: [a]\ntrain: images", ".", "labels", True),
            ("names: [a]\ntrain: other/images\nval: x/images", ".", "mine/labels", False),
            ("names: [a]\npath: other\ntrain: images/train", ".", "mine/labels", False),
            ("names: [a]\npath: mine\ntrain: train.txt", ".", "mine/labels", True),
            ("names: [a]\ntrain: other\\images", ".", "mine/labels", False),
            ("names: [a]\ntrain: mine\\images", ".", "mine/labels", True),
        ],
    )
    def test_a_file_above_must_be_of_this_data_set(self, yaml, place, labels, own, tmp_path):
        write(tmp_path / "set" / place / "data.yaml", yaml)
        folder = tmp_path / "set" / labels
        write(folder / "a.txt", " ".join([BOX_LINE, *IN_BOX]))
        if own:
            assert read_annotations(folder).annotations
        else:
            with pytest.raises(InputError, match="may be polygons, or boxes with keypoints"):
                read_annotations(folder)

    def test_files_that_differ_are_refused(self, tmp_path):
        write(tmp_path / "other.yaml", "kpt_shape: [3, 3]")
        with pytest.raises(InputError, match="differ in kpt_shape"):
            read_annotations(keypoints(tmp_path, [BOX_LINE, *IN_BOX], "kpt_shape: [3, 2]"))
