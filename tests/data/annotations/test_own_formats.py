"""What CVAT and Label Studio write for themselves."""

import numpy as np
import pytest

from helpers.annotated import EXPECTED, NAMES, check_all, foregrounds, opened, pack_brush, write
from sib.data.annotation_notes import NOTE
from sib.data.readers.annotations import read_annotations
from sib.utils.errors import InputError

BOX = '<box label="x" xtl="12" ytl="8" xbr="28" ybr="20"/>'
SHAPES = [
    BOX,
    '<polygon label="x" points="12.00,8.00;28.00,8.00;28.00,20.00;12.00,20.00"/>',
    f'<mask label="x" rle="0, {16 * 12}" left="12" top="8" width="16" height="12"/>',
    f'<mask label="x" rle="1{", 16, 2" * 11}, 16, 1" left="11" top="8" width="18" height="12"/>',
    f"{BOX}<tag label='y'/>",
]


def cvat(shapes, names=NAMES, size=(30, 40)):
    images = (
        f'<image id="{i}" name="{name}" width="{size[1]}" height="{size[0]}">{shapes}</image>'
        for i, name in enumerate(names)
    )
    return f"<annotations><version>1.1</version><meta/>{''.join(images)}</annotations>"


class TestCvat:
    @pytest.mark.parametrize("shapes", SHAPES)
    def test_shapes(self, shapes, folder, tmp_path):
        check_all(folder, write(tmp_path / "annotations.xml", cvat(shapes)), "CVAT XML")

    def test_points_and_lines_have_no_area_and_are_counted(self, folder, tmp_path):
        shapes = BOX + '<points label="x" points="1,2"/><polyline label="x" points="1,2;3,4"/>'
        splits = opened(folder, write(tmp_path / "a.xml", cvat(shapes)))
        assert splits.description[NOTE]["without_area"] == [20, "cat/0.png"]

    @pytest.mark.parametrize(
        ("shapes", "sentence"),
        [
            ('<box xtl="1" ytl="2" xbr="x" ybr="4"/>', "xbr must be a number"),
            ('<box xtl="9" ytl="2" xbr="1" ybr="4"/>', "must not be negative"),
            ('<polygon points="1,2;3,4;5"/>', "points; got 5 values"),
            ('<cuboid xtl1="1"/>', "<cuboid> 0 is not read; allowed are"),
            ('<mask rle="1, 2" left="0" top="0" width="2" height="2"/>', "rle must sum"),
            ('<mask rle="4" left="39" top="0" width="2" height="2"/>', "rle must sum"),
            ('<mask rle="-4" left="0" top="0" width="2" height="2"/>', "must be whole numbers"),
            ('<mask rle="0, 9" left="0" top="0" width="1e6" height="1e6"/>', "rle must sum"),
        ],
    )
    def test_wrong_shapes_are_refused(self, shapes, sentence, tmp_path):
        with pytest.raises(InputError, match=r"a\.xml, image 0") as error:
            read_annotations(write(tmp_path / "a.xml", cvat(shapes)))
        assert sentence in str(error.value)

    def test_films_are_refused(self, tmp_path):
        text = "<annotations><track id='0'><box frame='0'/></track></annotations>"
        with pytest.raises(InputError, match="tracks of a video"):
            read_annotations(write(tmp_path / "a.xml", text))


RECTANGLE = {"x": 30, "y": 8 / 0.3, "width": 40, "height": 40, "rotation": 0}
"""The square as percent of 40 × 30 pixels."""
OUTLINE = [[30, 80 / 3], [70, 80 / 3], [70, 200 / 3], [30, 200 / 3]]

STROKE = pack_brush(np.repeat(np.where(EXPECTED, 255, 0).ravel(), 4).tolist())


def tasks(values, names=NAMES, **facts):
    own = {"original_width": 40, "original_height": 30, "image_rotation": 0, **facts}
    result = [{"id": "a", "type": "rectanglelabels", "value": value, **own} for value in values]
    return [
        {"id": 1, "data": {"image": name}, "annotations": [{"result": result}], "predictions": []}
        for name in names
    ]


class TestLabelStudio:
    @pytest.mark.parametrize(
        "values",
        [
            [RECTANGLE | {"rectanglelabels": ["cat"]}],
            [{"points": OUTLINE, "polygonlabels": ["cat"], "closed": True}],
            [RECTANGLE, {"choices": ["good"]}, {"text": ["x"]}],
            [{"format": "rle", "rle": STROKE, "brushlabels": ["cat"]}],
        ],
    )
    def test_shapes(self, values, folder, tmp_path):
        path = write(tmp_path / "a.json", tasks(values))
        check_all(folder, path, "Label Studio JSON")

    @pytest.mark.parametrize(
        "form",
        [
            "/data/upload/3/0a1b2c3d-{}",
            "/data/local-files/?d=photos/{}",
            "s3://bucket/{}",
            "https://host/x/{}?Expires=1&Signature=ab/cd.png",
        ],
    )
    def test_names(self, form, folder, tmp_path):
        names = [form.format(name) for name in NAMES]
        if "upload" in form:
            names = [n.replace("0a1b2c3d-cat/", "cat/0a1b2c3d-") for n in names]
            names = [n.replace("0a1b2c3d-dog/", "dog/0a1b2c3d-") for n in names]
        check_all(
            folder, write(tmp_path / "a.json", tasks([RECTANGLE], names)), "Label Studio JSON"
        )

    def test_cancelled_annotations_and_points_are_not_used(self, folder, tmp_path):
        content = tasks([RECTANGLE])
        full = {"x": 0, "y": 0, "width": 100, "height": 100}
        other = tasks([full])[0]["annotations"][0] | {"was_cancelled": True}
        point = tasks([{"x": 1, "y": 1, "width": 0.5, "keypointlabels": ["eye"]}])
        content[0]["annotations"] += [other, *point[0]["annotations"]]
        splits = opened(folder, write(tmp_path / "a.json", content))
        assert all(np.array_equal(mask, EXPECTED) for mask in foregrounds(splits).values())
        assert splits.description[NOTE]["without_area"] == [1, "cat/0.png"]

    @pytest.mark.parametrize(
        ("content", "sentence"),
        [
            (tasks([RECTANGLE], original_width=None), "needs original_width"),
            (tasks([RECTANGLE], image_rotation=90), "image_rotation of 0"),
            (tasks([RECTANGLE | {"x": "a"}]), "x must be a number"),
            (tasks([{"points": [1, 2]}]), "must be a list of x and y"),
            (tasks([{"format": "rle", "rle": [0, 1]}]), "the rle of a brush stroke is cut off"),
            (tasks([{"vertices": [], "closed": True}]), "bitmaps or curves"),
            ([{"data": {"text": "x"}, "annotations": []}], "must name one image"),
            ([{"data": {"a": "a.png", "b": "b.png"}, "annotations": []}], "must name one image"),
            ([{"data": {"a": "a.png"}, "annotations": [{"result": [1]}]}], "a list of objects"),
            ([{"data": {"a": "a.png"}, "annotations": [{}]}], "a list of objects"),
        ],
    )
    def test_wrong_tasks_are_refused(self, content, sentence, tmp_path):
        with pytest.raises(InputError, match=r"a\.json, task 0") as error:
            read_annotations(write(tmp_path / "a.json", content))
        assert sentence in str(error.value)
