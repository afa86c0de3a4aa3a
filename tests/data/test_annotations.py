"""Annotations of a folder's images: each format, how names are found, and what is counted."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from helpers.pictures import SQUARE, all_names, save, save_classes, square_mask, square_pixels
from sib.cli.main import main
from sib.data.annotate import NOTE, sentences
from sib.data.match import ImageNames
from sib.data.open import open_data
from sib.data.readers.annotations import read_annotations
from sib.data.readers.annotations.load import LARGEST
from sib.data.readers.masks import draw_objects
from sib.data.shapes import encode_runs
from sib.utils.errors import InputError

BOX = [12, 8, 16, 12]
"""The square as x, y, width and height."""
POLYGON = [12, 8, 28, 8, 28, 20, 12, 20]
EXPECTED = square_mask(1) == 1
NAMES = [f"{name}/{number}.png" for name in ("cat", "dog") for number in range(5)]


@pytest.fixture
def folder(tmp_path):
    return save_classes(tmp_path / "mine")


def coco(objects, names=NAMES, size=(30, 40)):
    """COCO with the same objects in every image."""
    images = [
        {"id": index, "file_name": name, "height": size[0], "width": size[1]}
        for index, name in enumerate(names)
    ]
    entries = [{"image_id": index, **entry} for index in range(len(names)) for entry in objects]
    return {"images": images, "annotations": entries, "categories": []}


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def foregrounds(splits):
    found = {}
    for source in (splits.train, splits.validation, splits.test):
        for index, name in enumerate(source.names):
            mask = source[index].foreground
            found[name] = None if mask is None else mask[0].numpy()
    return found


def opened(folder, path):
    return open_data(str(folder), annotations=str(path))


def check_all(folder, path, name):
    """Every image has the square."""
    splits = opened(folder, path)
    found = foregrounds(splits)
    assert sorted(found) == NAMES
    assert all(np.array_equal(mask, EXPECTED) for mask in found.values())
    (sentence,) = sentences(splits.description)
    assert sentence == f"annotations: {name}; 10 of 10 images have a foreground"


class TestCoco:
    @pytest.mark.parametrize(
        "entry",
        [
            {"bbox": BOX},
            {"bbox": BOX, "segmentation": []},
            {"segmentation": [POLYGON], "bbox": [0, 0, 1, 1]},
            {"segmentation": {"counts": list(encode_runs(EXPECTED).counts), "size": [30, 40]}},
            {"segmentation": {"counts": "PLACEHOLDER", "size": [30, 40]}, "iscrowd": 1},
        ],
    )
    def test_boxes_polygons_and_run_lengths(self, entry, folder, tmp_path):
        if entry.get("segmentation") and "PLACEHOLDER" in str(entry):
            import pycocotools.mask

            text = pycocotools.mask.encode(np.asfortranarray(EXPECTED.astype(np.uint8)))["counts"]
            entry = {"segmentation": {"counts": text.decode(), "size": [30, 40]}}
        check_all(folder, write(tmp_path / "a.json", coco([entry])), "COCO JSON")

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


def voc(filename=None, boxes=((12, 8, 28, 20),), size=(30, 40), extra=""):
    objects = "".join(
        f"<object><name>x</name>{extra}<bndbox><xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax>"
        f"<ymax>{d}</ymax></bndbox></object>"
        for a, b, c, d in boxes
    )
    named = f"<filename>{filename}</filename>" if filename else ""
    whole = f"<size><width>{size[1]}</width><height>{size[0]}</height></size>" if size else ""
    return f"<annotation>{named}{whole}{objects}</annotation>"


class TestVoc:
    def test_a_folder(self, folder, tmp_path):
        for number, name in enumerate(NAMES):
            write(tmp_path / "xml" / f"{number}-x.xml", voc(name))
        check_all(folder, tmp_path / "xml", "PASCAL VOC XML")

    def test_files_called_like_their_images(self, folder, tmp_path):
        for name in NAMES:
            path = (tmp_path / "xml" / name).with_suffix(".xml")
            write(path, voc(size=None, boxes=((12, 8, 20, 20), (20, 8, 28, 20))))
        check_all(folder, tmp_path / "xml", "PASCAL VOC XML")

    def test_one_file(self, folder, tmp_path):
        splits = opened(folder, write(tmp_path / "x.xml", voc("dog/3.png")))
        found = foregrounds(splits)
        assert [name for name, mask in found.items() if mask is not None] == ["dog/3.png"]

    def test_a_file_that_names_another_image_than_its_own_is_refused(self, folder, tmp_path):
        write(tmp_path / "xml" / "dog" / "3.xml", voc("dog/2.png"))
        with pytest.raises(InputError, match=r"names the image dog/2.png, but is itself called"):
            opened(folder, tmp_path / "xml")

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("<annotation><object/></annotation>", "object 0 has no <bndbox>"),
            (voc("dog/3.png", boxes=(("a", 1, 2, 3),)), "<xmin> must be a number"),
            (voc("dog/3.png", boxes=((9, 1, 2, 3),)), "must not be negative; got -7 × 2"),
            ("<annotation>", "is not valid XML"),
            ("<!DOCTYPE a [<!ENTITY b 'c'>]><annotation>&b;</annotation>", "document type"),
            ("<annotations/>", "This is CVAT's own XML"),
            ("<other/>", "holds no annotations that can be read"),
        ],
    )
    def test_wrong_files_are_refused(self, text, sentence, folder, tmp_path):
        with pytest.raises(InputError, match=r"x\.xml") as error:
            opened(folder, write(tmp_path / "x.xml", text))
        assert sentence in str(error.value)


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


class TestTable:
    @pytest.mark.parametrize(
        ("header", "row"),
        [
            ("image,x,y,width,height", "12,8,16,12"),
            ("Image, X, Y, Width, Height, label", "12,8,16,12,cat"),
            ("image;x;y;width;height", "12;8;16;12"),
            ("image,xmin,ymin,xmax,ymax", "12,8,28,20"),
            ("filename,width,height,class,xmin,ymin,xmax,ymax", "40,30,cat,12,8,28,20"),
            ("filename,width,height,class,xmin,ymin,xmax,ymax", "80,60,cat,24,16,56,40"),
        ],
    )
    def test_columns(self, header, row, folder, tmp_path):
        mark = ";" if ";" in header else ","
        lines = [header, *(f"{name}{mark}{row}" for name in NAMES)]
        splits = opened(folder, write(tmp_path / "a.csv", "\r\n".join(lines) + "\r\n\r\n"))
        assert all(np.array_equal(mask, EXPECTED) for mask in foregrounds(splits).values())

    def test_rows_of_one_image_are_united(self, folder, tmp_path):
        lines = ["image\tx\ty\twidth\theight"]
        lines += [f"{n}\t{x}\t8\t8\t12" for n in NAMES for x in (12, 20)]
        check_all(folder, write(tmp_path / "a.tsv", "\n".join(lines)), "CSV of boxes")

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("image,x,y\na,1,2\n", "needs the columns x, y, width, height or xmin"),
            ("image,x,y,width,height,xmin,ymin,xmax,ymax\n", "keep one of them"),
            ("image,x,x,y,width,height\n", "names a column twice"),
            ("name,x,y,width,height\n", "holds no annotations that can be read"),
            ("image,x,y,width,height\ncat/0.png,1,2,3\n", "line 2: 5 columns are needed; got 4"),
            ("image,x,y,width,height\ncat/0.png,1,2,3,b\n", "line 2: height must be a number"),
            ("image,x,y,width,height\n,1,2,3,4\n", "line 2: the image must be a name"),
            ("image,xmin,ymin,xmax,ymax\ncat/0.png,5,2,3,4\n", "got -2 × 2"),
            ("", "holds no annotations that can be read"),
        ],
    )
    def test_wrong_tables_are_refused(self, text, sentence, folder, tmp_path):
        with pytest.raises(InputError, match=r"a\.csv") as error:
            opened(folder, write(tmp_path / "a.csv", text))
        assert sentence in str(error.value)

    def test_fractions_give_no_foreground_and_are_refused(self, folder, tmp_path):
        path = write(tmp_path / "a.csv", "image,xmin,ymin,xmax,ymax\ncat/0.png,0.1,0.2,0.4,0.4\n")
        with pytest.raises(InputError, match="lie between 0 and 1, as fractions of"):
            opened(folder, path)


class TestFinding:
    def test_mixed_formats_in_a_folder_are_refused(self, folder, tmp_path):
        write(tmp_path / "all" / "a.json", coco([{"bbox": BOX}]))
        write(tmp_path / "all" / "b.xml", voc("cat/0.png"))
        with pytest.raises(InputError, match=r"a\.json is COCO JSON, and b.xml is PASCAL VOC XML"):
            opened(folder, tmp_path / "all")

    @pytest.mark.parametrize(
        ("name", "text", "sentence"),
        [
            ("a.json", "[" * 100_000, "nested too deeply"),
            ("a.json", '{"images": NaN}', "NaN is not a number of JSON"),
            ("a.json", "{", "is not valid JSON"),
            ("a.json", "{}", "holds no annotations that can be read"),
            ("a.json", "[" + "9" * 5000 + "]", "is not valid JSON"),
            ("a.json", '[{"data": {}, "annotations": []}]', "Label Studio's own JSON"),
            ("a.txt", "0 0.5 0.5 0.1 0.1 x", "a folder of YOLO text files"),
            ("a.zip", "", "allowed are COCO JSON"),
        ],
    )
    def test_a_file_that_is_none_is_refused(self, name, text, sentence, folder, tmp_path):
        with pytest.raises(InputError, match=name) as error:
            opened(folder, write(tmp_path / name, text))
        assert sentence in str(error.value)

    def test_limits(self, folder, tmp_path, monkeypatch):
        monkeypatch.setitem(LARGEST, ".json", 100)
        path = write(tmp_path / "a.json", coco([{"bbox": BOX}]))
        with pytest.raises(InputError, match="more than 100 bytes"):
            opened(folder, path)

    def test_too_many_objects_in_an_image_are_refused(self, folder, tmp_path, monkeypatch):
        monkeypatch.setattr("sib.data.annotate.MOST_SHAPES", 2)
        path = write(tmp_path / "a.json", coco([{"bbox": BOX}] * 3))
        with pytest.raises(InputError, match=r"cat/0\.png has more than 2 objects"):
            opened(folder, path)

    def test_nothing_there(self, folder, tmp_path):
        with pytest.raises(InputError, match="nothing does not exist"):
            opened(folder, tmp_path / "nothing")
        (tmp_path / "empty").mkdir()
        with pytest.raises(InputError, match="empty holds no annotations"):
            opened(folder, tmp_path / "empty")

    @pytest.mark.parametrize("option", ["annotations", "groups"])
    @pytest.mark.parametrize("data", ["digits", "cub200"])
    def test_they_are_for_folders(self, data, option):
        with pytest.raises(InputError, match=f"{option} are for a folder of images"):
            open_data(data, **{option: "x"})

    def test_masks_and_annotations_do_not_go_together(self, folder, tmp_path):
        with pytest.raises(InputError, match="masks and annotations cannot be given together"):
            open_data(str(folder), masks=str(tmp_path), annotations=str(tmp_path))


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


@pytest.mark.parametrize(
    "segmentation", [POLYGON, [POLYGON, [3, 3, 4, 4]], [[]], [POLYGON, [3.0, 3.0]]]
)
def test_remains_of_outlines_in_coco_are_left_out(folder, tmp_path, segmentation):
    path = write(tmp_path / "a.json", coco([{"segmentation": segmentation, "bbox": BOX}]))
    splits = opened(folder, path)
    assert all(np.array_equal(mask, EXPECTED) for mask in foregrounds(splits).values())
    remains = any("without_area" in fact for fact in splits.description[NOTE])
    assert remains == (len(segmentation) == 2)


@pytest.mark.parametrize(
    "header",
    [
        "image_name,x1,y1,x2,y2",
        "Path,Left,Top,Right,Bottom",
        "Width,Height,Roi.X1,Roi.Y1,Roi.X2,Roi.Y2,ClassId,file",
        "image_id,x,y,w,h",
        "file_name,bbox_x,bbox_y,bbox_width,bbox_height",
    ],
)
def test_columns_under_the_names_of_other_tools(folder, tmp_path, header):
    edges, extent = (12, 8, 28, 20), BOX
    columns = header.lower().split(",")
    values = edges if {"x2", "right", "roi.x2"} & set(columns) else extent
    lines = [header]
    for name in NAMES:
        rest = iter(values)
        row = {"width": 40, "height": 30, "classid": 3}
        image = ("image_name", "path", "file", "image_id", "file_name")
        lines.append(
            ",".join(
                str(name if c in image else row[c] if c in row else next(rest)) for c in columns
            )
        )
    check_all(folder, write(tmp_path / "boxes.csv", "\n".join(lines)), "CSV of boxes")


def test_keypoints_behind_a_yolo_box_are_not_a_polygon(tmp_path):
    (tmp_path / "0.txt").write_text("0 0.5 0.5 0.4 0.4 0.3 0.3 2 0.4 0.4 1\n")
    with pytest.raises(InputError, match="box and keypoints"):
        read_annotations(tmp_path)


@pytest.mark.parametrize(
    ("content", "tool"),
    [
        ([{"image": "a.jpg", "annotations": []}], "Create ML"),
        ({"a.jpg1": {"filename": "a.jpg", "regions": []}}, "VIA"),
        ([{"id": 1, "image": "a.jpg", "label": []}], "Label Studio"),
        ([{"image_id": 1, "bbox": [1, 1, 2, 2], "score": 0.5}], "results"),
        ({"images": [], "categories": []}, "without annotations"),
    ],
)
def test_own_formats_of_tools_are_named(tmp_path, content, tool):
    with pytest.raises(InputError, match=tool):
        read_annotations(write(tmp_path / "a.json", content))
