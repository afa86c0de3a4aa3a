"""Foregrounds from LabelMe."""

import base64
import io
import json
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from helpers.annotated import EXPECTED, NAMES, POLYGON, check_all, foregrounds, opened, write
from helpers.pictures import SQUARE
from sib.data.annotation_notes import NOTE
from sib.data.readers.annotations import read_annotations
from sib.data.readers.annotations.labelme import read
from sib.data.readers.masks import draw_objects
from sib.utils.errors import InputError


def labelme(shapes, name=None):
    content = {"shapes": shapes, "imageHeight": 30, "imageWidth": 40, "imageData": "AAAA"}
    return content | ({"imagePath": name} if name else {})


def png(mask):
    content = io.BytesIO()
    Image.fromarray(mask).save(content, "PNG")
    return base64.b64encode(content.getvalue()).decode()


def pairs(flat):
    return [[x, y] for x, y in zip(flat[::2], flat[1::2], strict=True)]


class TestLabelme:
    @pytest.mark.parametrize(
        "shapes",
        [
            [{"shape_type": "polygon", "points": pairs(POLYGON)}],
            [{"points": pairs(POLYGON)}],
            [{"shape_type": "oriented_rectangle", "points": pairs(POLYGON)}],
            [{"shape_type": "rectangle", "points": [[28, 20], [12, 8]]}],
            [{"shape_type": "mask", "points": [[12, 8], [27, 19]], "mask": png(EXPECTED[SQUARE])}],
            [
                {"shape_type": "rectangle", "points": [[12, 8], [20, 20]]},
                {"shape_type": "rectangle", "points": [[20, 8], [28, 20]]},
            ],
        ],
    )
    def test_shapes(self, shapes, folder, tmp_path):
        for number, name in enumerate(NAMES):
            path = f"..\\photos\\{name}".replace("/", "\\")
            write(tmp_path / "json" / f"{number}-x.json", labelme(shapes, path))
        check_all(folder, tmp_path / "json", "labelme JSON")

    def test_a_circle_by_hand(self, tmp_path):
        shapes = [{"shape_type": "circle", "points": [[10, 10], [13, 14]]}]
        (annotation,) = read_annotations(write(tmp_path / "x.json", labelme(shapes))).annotations
        rows, columns = np.mgrid[:30, :40] + 0.5
        disc = (rows - 10) ** 2 + (columns - 10) ** 2 < 25
        assert np.array_equal(draw_objects(annotation, (30, 40)).numpy(), disc)

    def test_a_mask_that_leaves_the_image_is_cut_off(self, tmp_path):
        mask = {
            "shape_type": "mask",
            "points": [[-4, -2], [6, 6]],
            "mask": png(np.ones((8, 10), bool)),
        }
        (annotation,) = read_annotations(write(tmp_path / "x.json", labelme([mask]))).annotations
        drawn = draw_objects(annotation, (30, 40)).numpy()
        assert drawn[:6, :6].all() and drawn.sum() == 36

    def test_a_small_file_cannot_ask_for_gigabytes(self, tmp_path):
        """Its header is refused, or its pixels are kept as bits and not as a run for each."""
        rows, columns = np.indices((2000, 2000), dtype=np.uint8)
        board = png((rows + columns) % 2 == 1)
        mask = {"shape_type": "mask", "points": [[0, 0], [1999, 1999]], "mask": board}
        content = labelme([mask], "x.png")
        with pytest.raises(InputError, match="mask of 2000 × 2000 pixels is larger than its"):
            read_annotations(write(tmp_path / "x.json", content))
        path = write(tmp_path / "x.json", content | {"imageHeight": 2000, "imageWidth": 2000})
        ((shape,),) = (each.shapes for each in read_annotations(path).annotations)
        assert len(shape.content) < 2 * path.stat().st_size
        content = json.loads(path.read_text())
        tracemalloc.start()
        list(read(content, path))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 6 * 2000 * 2000

    def test_the_header_alone_refuses_what_pillow_takes_for_a_bomb(self, tmp_path):
        header = struct.pack(">2I5B", 40_000, 40_000, 1, 0, 0, 0, 0)
        chunks = b"".join(
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
            for name, data in ((b"IHDR", header), (b"IDAT", b""), (b"IEND", b""))
        )
        mask = base64.b64encode(b"\x89PNG\r\n\x1a\n" + chunks).decode()
        shape = {"shape_type": "mask", "points": [[0, 0], [1, 1]], "mask": mask}
        with pytest.raises(InputError, match="the mask is far larger than its image of 40 × 30"):
            read_annotations(write(tmp_path / "x.json", labelme([shape])))

    def test_a_blank_mask_is_an_object_without_area(self, folder, tmp_path):
        blank = png(np.zeros((4, 4), bool))
        shapes = [
            {"shape_type": "rectangle", "points": [[12, 8], [28, 20]]},
            {"shape_type": "mask", "points": [[1, 1], [4, 4]], "mask": blank},
        ]
        splits = opened(folder, write(tmp_path / "x.json", labelme(shapes, "cat/0.png")))
        assert np.array_equal(foregrounds(splits)["cat/0.png"], EXPECTED)
        assert splits.description[NOTE]["without_area"] == [1, "cat/0.png"]

    @pytest.mark.parametrize("label", ["_background_", "__ignore__"])
    def test_what_is_no_object_is_left_out(self, label, folder, tmp_path):
        shapes = [
            {"label": "cat", "points": pairs(POLYGON)},
            {"label": label, "points": pairs([0, 0, 40, 0, 40, 30, 0, 30])},
        ]
        splits = opened(folder, write(tmp_path / "x.json", labelme(shapes, "cat/0.png")))
        assert np.array_equal(foregrounds(splits)["cat/0.png"], EXPECTED)

    def test_points_and_lines_have_no_area_and_are_counted(self, folder, tmp_path):
        shapes = [
            {"shape_type": "rectangle", "points": [[12, 8], [28, 20]]},
            {"shape_type": "point", "points": [[12, 8]]},
            {"shape_type": "linestrip", "points": [[1, 1], [2, 2], [3, 3]]},
        ]
        path = write(tmp_path / "x.json", labelme(shapes, "cat/0.png"))
        splits = opened(folder, path)
        assert np.array_equal(foregrounds(splits)["cat/0.png"], EXPECTED)
        assert splits.description[NOTE]["without_area"] == [2, "cat/0.png"]

    @pytest.mark.parametrize(
        ("shape", "sentence"),
        [
            (3, "a shape must have points; got 3"),
            ({"shape_type": "cube", "points": [[1, 2]]}, "shape_type must be polygon"),
            ({"shape_type": "rectangle", "points": [[1, 2]]}, "a rectangle has two points; got 1"),
            ({"shape_type": "polygon", "points": [[1, 2, 3]]}, "points must be a list"),
            ({"shape_type": "polygon", "points": []}, "points must be a list"),
            ({"shape_type": "polygon", "points": [["a", 2]]}, "a point's x must be a number"),
            ({"shape_type": "mask", "points": [[1, 2], [3, 4]]}, "mask must be a PNG in base64"),
            ({"shape_type": "mask", "points": [[1, 2], [3, 4]], "mask": "AAAA"}, "is not a PNG"),
        ],
    )
    def test_wrong_shapes_are_refused(self, shape, sentence, folder, tmp_path):
        path = write(tmp_path / "x.json", labelme([shape], "cat/0.png"))
        with pytest.raises(InputError, match=r"x\.json, shape 0") as error:
            opened(folder, path)
        assert sentence in str(error.value)
