"""Boxes and ellipses that are turned on the image, in each format that has them."""

import math
from typing import ClassVar

import numpy as np
import pytest

from helpers.annotated import BOX, coco, voc, write
from sib.data.readers.annotations import read_annotations
from sib.data.readers.annotations.find import FORMATS
from sib.data.readers.masks import draw_objects
from sib.data.sample import Objects
from sib.utils.errors import InputError

SIZE = (30, 40)
UPRIGHT = (10, 12, 30, 18)
"""A box of 20 × 6 pixels around (20, 15), as its edges."""


def drawn(path, content):
    (annotation,) = read_annotations(write(path, content)).annotations
    return draw_objects(Objects(annotation.shapes), SIZE).numpy()


def area(left, top, right, bottom):
    mask = np.zeros(SIZE, bool)
    mask[top:bottom, left:right] = True
    return mask


def tilted(centre, sides, degrees):
    """Pixels whose centre lies within both pairs of sides of a box, turned clockwise."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    x, y, a = columns - centre[0], rows - centre[1], math.radians(degrees)
    along, across = x * math.cos(a) + y * math.sin(a), y * math.cos(a) - x * math.sin(a)
    return (abs(along) <= sides[0] / 2) & (abs(across) <= sides[1] / 2)


def as_coco(degrees, **more):
    entry = {"bbox": [10, 12, 20, 6], "attributes": {"occluded": False, "rotation": degrees}}
    return coco([entry | more], names=["a.png"])


def as_cvat(degrees):
    box = 'xtl="10" ytl="12" xbr="30" ybr="18"'
    return (
        '<annotations><version>1.1</version><image id="0" name="a.png" width="40" height="30">'
        f'<box label="x" {box} rotation="{degrees}" z_order="0"/></image></annotations>'
    )


def as_voc(degrees):
    turned = f"<attribute><name>rotation</name><value>{degrees}</value></attribute>"
    return voc("a.png", boxes=(UPRIGHT,), extra=f"<attributes>{turned}</attributes>")


def as_rolabelimg(degrees):
    box = f"<cx>20</cx><cy>15</cy><w>20</w><h>6</h><angle>{math.radians(degrees)}</angle>"
    return f"<annotation><object><robndbox>{box}</robndbox></object></annotation>"


class TestAboutTheCentre:
    @pytest.mark.parametrize(
        ("name", "form"),
        [
            ("a.json", as_coco),
            ("a.xml", as_cvat),
            ("b.xml", as_voc),
            ("c.xml", as_rolabelimg),
        ],
    )
    @pytest.mark.parametrize(
        ("degrees", "expected"),
        [
            (0.0, area(10, 12, 30, 18)),
            (90.0, area(17, 5, 23, 25)),
            (180.0, area(10, 12, 30, 18)),
            (270.0, area(17, 5, 23, 25)),
            (30.0, tilted((20, 15), (20, 6), 30)),
            (317.3, tilted((20, 15), (20, 6), 317.3)),
        ],
    )
    def test_by_hand(self, name, form, degrees, expected, tmp_path):
        assert np.array_equal(drawn(tmp_path / name, form(degrees)), expected)

    def test_clockwise(self, tmp_path):
        """At 30° the right end lies below the left one, as y points down."""
        found = drawn(tmp_path / "a.json", as_coco(30.0))
        assert found[18, 27] and not found[11, 27] and found[11, 12] and not found[18, 12]

    def test_at_another_size_the_box_is_turned_before_it_is_scaled(self, tmp_path):
        content = as_coco(90.0)
        (annotation,) = read_annotations(write(tmp_path / "a.json", content)).annotations
        assert annotation.size == SIZE and annotation.shapes[0].points[0] == (23, 5)

    def test_an_outline_is_turned_only_if_it_is_the_box(self, tmp_path):
        outline = [10, 12, 30, 12, 30, 18, 10, 18]
        found = drawn(tmp_path / "a.json", as_coco(90.0, segmentation=[outline]))
        assert np.array_equal(found, area(17, 5, 23, 25))
        triangle = [10, 12, 30, 12, 30, 18]
        both = [
            drawn(tmp_path / f"{degrees}.json", as_coco(degrees, segmentation=[triangle]))
            for degrees in (0.0, 90.0)
        ]
        assert np.array_equal(*both)

    def test_an_ellipse(self, tmp_path):
        content = as_cvat(0).replace(
            "</image>", '<ellipse label="x" cx="20" cy="15" rx="12" ry="4" rotation="90"/></image>'
        )
        rows, columns = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
        expected = ((rows - 15) / 12) ** 2 + ((columns - 20) / 4) ** 2 <= 1
        assert np.array_equal(drawn(tmp_path / "a.xml", content), expected | area(10, 12, 30, 18))


def label_studio(value, short=False):
    entry = {"original_width": 40, "original_height": 30, "image_rotation": 0}
    if short:
        return [{"image": "/data/a.png", "annotation_id": 1, "label": [entry | value]}]
    result = [{"type": "rectanglelabels", "value": value, **entry}]
    return [
        {"data": {"image": "/data/upload/1/0123abcd-a.png"}, "annotations": [{"result": result}]}
    ]


class TestAboutTheCorner:
    VALUE: ClassVar = {"x": 50, "y": 20, "width": 20, "height": 40, "rectanglelabels": ["cat"]}
    """8 × 12 pixels with the corner (20, 6)."""

    @pytest.mark.parametrize("short", [False, True])
    @pytest.mark.parametrize(
        ("degrees", "expected"),
        [
            (0, area(20, 6, 28, 18)),
            (90, area(8, 6, 20, 14)),
            # the centre (4, 6) from the corner moves to (4 cos 30° − 6 sin 30°, …)
            (30, tilted((20 + 4 * 3**0.5 / 2 - 3, 6 + 2 + 6 * 3**0.5 / 2), (8, 12), 30)),
        ],
    )
    def test_label_studio_by_hand(self, degrees, expected, short, tmp_path):
        content = label_studio(self.VALUE | {"rotation": degrees}, short)
        assert np.array_equal(drawn(tmp_path / "a.json", content), expected)

    def test_an_ellipse_turns_about_its_centre(self, tmp_path):
        value = {"x": 50, "y": 50, "radiusX": 30, "radiusY": 10, "rotation": 90}
        rows, columns = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
        expected = ((rows - 15) / 12) ** 2 + ((columns - 20) / 3) ** 2 <= 1
        assert np.array_equal(drawn(tmp_path / "a.json", label_studio(value)), expected)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", coco([{"bbox": BOX, "rotation": 0.5}], names=["a.png"])),
        ("a.json", coco([{"bbox": BOX, "angle": "30"}], names=["a.png"])),
        ("a.csv", "image,xmin,ymin,xmax,ymax,angle\na.png,1,2,3,4,45\n"),
        ("a.csv", "image,x,y,width,height,rotation\na.png,1,2,3,4,0\nb.png,1,2,3,4,-0.3\n"),
        ("a.txt", "0 0.5 0.5 0.2 0.2 45\n"),
        ("a.txt", "0 0.5 0.5 0.2 0.2 -0.7\n"),
    ],
)
def test_angles_of_an_unknown_kind_are_refused(name, content, tmp_path):
    with pytest.raises(InputError, match=r"turned"):
        read_annotations(write(tmp_path / "x" / name, content).parent)


@pytest.mark.parametrize("value", ["nan", "up", "1e9", True])
def test_rotations_that_are_not_numbers_are_refused(value, tmp_path):
    with pytest.raises(InputError, match=r"rotation must be a number"):
        read_annotations(write(tmp_path / "a.json", as_coco(value)))


def test_every_format_is_covered_here():
    """A new format must say whether its boxes can be turned."""
    assert {each.name for each in FORMATS} == {
        *("COCO JSON", "PASCAL VOC XML", "CVAT XML", "Label Studio JSON"),  # turned, above
        *("labelme JSON", "YOLO text", "CSV of boxes"),  # corners or refused
    }
