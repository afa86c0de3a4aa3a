"""Foregrounds from COCO."""

import numpy as np
import pytest

from helpers.annotated import BOX, EXPECTED, POLYGON, check_all, coco, foregrounds, opened, write
from sib.data.annotation_notes import NOTE, sentences
from sib.utils.errors import InputError

UNDECIDED = "undecided"


class TestCoco:
    @pytest.mark.parametrize(
        "entry",
        [
            {"bbox": BOX},
            {"bbox": BOX, "segmentation": []},
            {"segmentation": [POLYGON], "bbox": [0, 0, 1, 1]},
            {"segmentation": {"counts": [368, 12, *15 * [18, 12], 370], "size": [30, 40]}},
            {"segmentation": {"counts": "PLACEHOLDER", "size": [30, 40]}, "iscrowd": 1},
        ],
    )
    def test_boxes_polygons_and_run_lengths(self, entry, folder, tmp_path):
        if entry.get("segmentation") and "PLACEHOLDER" in str(entry):
            import pycocotools.mask

            text = pycocotools.mask.encode(np.asfortranarray(EXPECTED.astype(np.uint8)))["counts"]
            entry = {"segmentation": {"counts": text.decode(), "size": [30, 40]}}
        check_all(folder, write(tmp_path / "a.json", coco([entry])), "COCO JSON")

    @pytest.mark.parametrize(
        ("height", "width"), [("60", "80"), (60.0, 80.0), ("60.0", 80), (60, "80")]
    )
    def test_sizes_as_text_or_with_a_point(self, height, width, folder, tmp_path):
        path = write(tmp_path / "a.json", coco([{"bbox": [24, 16, 32, 24]}], size=(height, width)))
        splits = opened(folder, path)
        assert all(np.array_equal(mask, EXPECTED) for mask in foregrounds(splits).values())

    def test_edges_of_detectron(self, folder, tmp_path):
        entry = {"bbox": [12, 8, 28, 20], "bbox_mode": 0}
        check_all(folder, write(tmp_path / "a.json", coco([entry])), "COCO JSON")
        with pytest.raises(InputError, match=r"bbox_mode must be 0 \(edges\) or 1; got 4"):
            opened(folder, write(tmp_path / "b.json", coco([{"bbox": BOX, "bbox_mode": 4}])))

    @pytest.mark.parametrize("area", [16 * 12, 16 * 12 - 0.5])
    def test_edges_that_the_area_gives_away_are_refused(self, area, folder, tmp_path):
        path = write(tmp_path / "a.json", coco([{"bbox": [12, 8, 28, 20], "area": area}]))
        with pytest.raises(InputError, match="are xmin, ymin, xmax and ymax"):
            opened(folder, path)
        path = write(tmp_path / "b.json", coco([{"bbox": BOX, "area": area, "segmentation": {}}]))
        check_all(folder, path, "COCO JSON")

    def test_corners_that_leave_the_images_otherwise_are_refused(self, folder, tmp_path):
        """Images are 40 × 30."""
        path = write(tmp_path / "a.json", coco([{"bbox": [12, 8, 38, 28]}]))
        with pytest.raises(InputError, match=r"10 of 10 boxes .* leave .*: 0 for corners, 1 for x"):
            opened(folder, path)
        mode = {"bbox": [12, 8, 38, 28], "bbox_mode": 1}
        assert UNDECIDED not in str(opened(folder, write(path, coco([mode]))).description[NOTE])

    def test_boxes_that_may_be_corners_are_read_as_coco_has_them_and_reported(
        self, folder, tmp_path
    ):
        path = write(tmp_path / "a.json", coco([{"bbox": BOX}]))
        splits = opened(folder, path)
        assert splits.description[NOTE][UNDECIDED][0] > 0
        assert any("could be two corners" in each for each in sentences(splits.description))
        for certain in ({"bbox": [24, 8, 16, 12]}, {"bbox": BOX, "area": 16 * 12}):
            known = opened(folder, write(path, coco([{"bbox": BOX, "area": 192}, certain])))
            assert UNDECIDED not in known.description[NOTE]

    def test_objects_and_the_polygons_of_one_are_united(self, folder, tmp_path):
        left, right = [12, 8, 20, 8, 20, 20, 12, 20], [20, 8, 25, 8, 25, 20, 20, 20]
        entries = [{"segmentation": [left, right]}, {"bbox": [24, 8, 4, 12]}]
        check_all(folder, write(tmp_path / "a.json", coco(entries)), "COCO JSON")

    def test_what_was_annotated_at_another_size_is_scaled_and_counted(self, folder, tmp_path):
        entries = [{"bbox": [24, 16, 32, 24]}]
        splits = opened(folder, write(tmp_path / "a.json", coco(entries, size=(60, 80))))
        assert all(np.array_equal(mask, EXPECTED) for mask in foregrounds(splits).values())
        assert splits.description[NOTE]["scaled"] == [10, "cat/0.png"]

    @pytest.mark.parametrize("size", [(31, 40), (40, 30), (90, 40)])
    def test_an_image_of_another_shape_is_refused(self, size, folder, tmp_path):
        path = write(tmp_path / "a.json", coco([{"bbox": BOX}], size=size))
        with pytest.raises(InputError, match=f"image of {size[1]} × {size[0]} pixels") as error:
            opened(folder, path)
        assert ("EXIF" in str(error.value)) == (size == (40, 30))

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            ({"bbox": [1, 2, 3]}, "needs a segmentation, or a bbox"),
            ({"bbox": [1, 2, -3, 4]}, "width and height must not be negative; got -3 × 4"),
            ({"bbox": [1, 2, "a", 4]}, "bbox must be a number within"),
            ({"bbox": [1, 2, 1e30, 4]}, "bbox must be a number within"),
            ({"bbox": [1, 2, True, 4]}, "bbox must be a number within"),
            ({"segmentation": [[1, 2, 3, 4, 5]]}, "3 to 100000 points; got 5 values"),
            ({"segmentation": [[1, 2, 3, 4, 5, 6, 7]]}, "3 to 100000 points; got 7 values"),
            ({"segmentation": [1, [2], 3, 4, 5, 6]}, "a list of polygons"),
            ({"segmentation": "x"}, "a list of polygons"),
            ({"segmentation": {"counts": [1, 2], "size": [30, 40]}}, "the counts sum to 3"),
            ({"image_id": 77}, "no image has the id 77"),
            ({"image_id": None}, "image_id must be a number or a name"),
        ],
    )
    def test_wrong_values_are_refused_with_their_place(self, change, sentence, folder, tmp_path):
        content = coco([{"bbox": BOX}])
        content["annotations"][3] = {"image_id": 3, **change}
        path = write(tmp_path / "a.json", content)
        with pytest.raises(InputError, match=r"a\.json, annotation 3") as error:
            opened(folder, path)
        assert sentence in str(error.value)

    def test_ids_that_are_referred_to_as_text(self, folder, tmp_path):
        content = coco([{"bbox": BOX}])
        for entry in content["annotations"]:  # as VIA writes them
            entry["image_id"] = str(entry["image_id"])
        check_all(folder, write(tmp_path / "a.json", content), "COCO JSON")

    def test_two_images_of_one_id_are_refused(self, folder, tmp_path):
        content = coco([{"bbox": BOX}])
        content["images"][1]["id"] = 0
        with pytest.raises(InputError, match="two images have the same id"):
            opened(folder, write(tmp_path / "a.json", content))

    @pytest.mark.parametrize("name", ["", " ", 3, None, "a\ud800.png"])
    def test_a_name_that_is_none_is_refused(self, name, folder, tmp_path):
        content = coco([{"bbox": BOX}])
        content["images"][1]["file_name"] = name
        with pytest.raises(InputError, match="image 1: file_name must be a name"):
            opened(folder, write(tmp_path / "a.json", content))


@pytest.mark.parametrize(
    "segmentation", [POLYGON, [POLYGON, [3, 3, 4, 4]], [[]], [POLYGON, [3.0, 3.0]]]
)
def test_remains_of_outlines_in_coco_are_left_out(folder, tmp_path, segmentation):
    path = write(tmp_path / "a.json", coco([{"segmentation": segmentation, "bbox": BOX}]))
    splits = opened(folder, path)
    assert all(np.array_equal(mask, EXPECTED) for mask in foregrounds(splits).values())
    remains = any("without_area" in fact for fact in splits.description[NOTE])
    assert remains == (len(segmentation) == 2)
