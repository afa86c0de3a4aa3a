"""Annotations and images that belong together, what is counted, and the commands."""

import numpy as np
import pytest
from PIL import Image

from helpers.annotated import BOX, EXPECTED, NAMES, coco, foregrounds, opened, write
from helpers.pictures import all_names, save, save_classes, square_mask, square_pixels
from sib.cli.main import main
from sib.data.annotation_notes import sentences
from sib.data.match import ImageNames
from sib.utils.errors import InputError


class TestNames:
    @pytest.mark.parametrize(
        ("name", "wanted"),
        [
            ("cat/1.png", "cat/1.png"),
            ("1.PNG", None),  # in cat and in dog: see below
            ("solo.JPG", "dog/solo.jpg"),
            ("solo", "dog/solo.jpg"),
            ("images/solo.jpg", "dog/solo.jpg"),
            ("C:\\Users\\me\\dog\\solo.jpg", "dog/solo.jpg"),
            ("/data/local-files/?d=photos/dog/solo.jpg", "dog/solo.jpg"),
            ("upload/1/0a1b2c3d-solo.jpg", "dog/solo.jpg"),
            ("so%6Co.jpg", "dog/solo.jpg"),
            ("../../dog/solo.jpg", "dog/solo.jpg"),
            ("cat/solo.jpg", None),  # cat is a class, and this image is of another
            ("solo.png", None),
            ("0a1b2c3d-", None),
            ("0a1b2c3d-.", None),
            ("", None),
            ("/", None),
            ("0a1b2c3d-own.png", "dog/0a1b2c3d-own.png"),
        ],
    )
    def test_which_image_a_name_means(self, name, wanted):
        paths = ["cat/1.png", "dog/1.png", "dog/solo.jpg", "dog/0a1b2c3d-own.png"]
        images = ImageNames(paths)
        if name == "1.PNG":
            with pytest.raises(InputError, match=r"here: 1.PNG may mean cat/1.png or dog/1.png"):
                images.find(name, "here")
            return
        found = images.find(name, "here")
        assert (None if found is None else paths[found]) == wanted


class TestCounts:
    def test_every_number_is_told(self, folder, tmp_path):
        save(folder / "dog" / "4_mask.png", square_mask(255))
        names = ["cat/0.png", "cat/1.png", "dog/4.png", "gone.png", "lost.png"]
        content = coco([{"bbox": BOX}], names)
        content["annotations"] += [
            {"image_id": 0, "bbox": [5, 5, 0, 4]},
            {"image_id": 0, "bbox": [50, 50, 4, 4]},
            {"image_id": 1, "segmentation": [[-9, 0, 5, 0, 5, 5]]},
            {"image_id": 1, "bbox": [30, 20, 30, 5]},
        ]
        splits = opened(folder, write(tmp_path / "a.json", content))
        assert sentences(splits.description) == [
            "annotations: COCO JSON; 3 of 10 images have a foreground",
            "2 annotations name no image, the first: gone.png",
            "2 objects leave their image and are cut off at the edge, the first: cat/1.png",
            "2 objects cover no pixel of their image and are left out, the first: cat/0.png",
            "1 image has a mask file as well, which is not used, the first: dog/4.png",
        ]
        assert np.array_equal(foregrounds(splits)["cat/0.png"], EXPECTED)

    def test_names_of_no_image_at_all_are_refused(self, folder, tmp_path):
        path = write(tmp_path / "a.json", coco([{"bbox": BOX}], ["a.png", "b.png"]))
        with pytest.raises(InputError, match=r"2 annotations name no image, the first: a.png"):
            opened(folder, path)

    def test_a_turned_image_is_annotated_upright(self, tmp_path):
        root = save_classes(tmp_path / "mine", ending=".jpg")
        exif = Image.Exif()
        exif[0x0112] = 6
        turned = Image.fromarray(square_pixels()).transpose(Image.Transpose.ROTATE_90)
        turned.save(root / "cat" / "0.jpg", exif=exif)
        path = write(tmp_path / "a.json", coco([{"bbox": BOX}], ["cat/0.jpg"]))
        found = foregrounds(opened(root, path))
        assert np.array_equal(found["cat/0.jpg"], EXPECTED)

    def test_the_fingerprint_changes_with_an_annotation(self, folder, tmp_path):
        prints = []
        for box in (BOX, [12, 8, 16, 11]):
            splits = opened(folder, write(tmp_path / "a.json", coco([{"bbox": box}])))
            prints.append(splits.train.fingerprints())
        assert not set(prints[0]) & set(prints[1])


class TestCommands:
    def test_check_counts_and_show_draws(self, folder, tmp_path, capsys):
        path = write(tmp_path / "a.json", coco([{"bbox": BOX}], NAMES[:7]))
        assert main(["data", "check", str(folder), "--annotations", str(path)]) == 0
        out = capsys.readouterr().out
        assert "annotations: COCO JSON; 7 of 10 images have a foreground" in out
        assert "│         7 │" in out
        sheets = []
        for options in ([], ["--annotations", str(path)]):
            sheet = tmp_path / "sheet.png"
            assert main(["data", "show", str(folder), "--out", str(sheet), *options]) == 0
            sheets.append(sheet.read_bytes())
        assert sheets[0] != sheets[1]
        assert "7 of 10 images have a foreground" in capsys.readouterr().out

    def test_published_sets_have_their_own(self, tmp_path, capsys):
        arguments = ["data", "check", "cub200", "--root", str(tmp_path), "--annotations", "x"]
        assert main(arguments) == 2
        capsys.readouterr()

    def test_all_names_stay(self, folder, tmp_path):
        path = write(tmp_path / "a.json", coco([{"bbox": BOX}]))
        assert sorted(all_names(opened(folder, path))) == NAMES
