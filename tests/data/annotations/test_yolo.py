"""Foregrounds from YOLO."""

import numpy as np
import pytest

from helpers.annotated import EXPECTED, NAMES, POLYGON, foregrounds, opened, write
from sib.data.annotate import NOTE, sentences
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
