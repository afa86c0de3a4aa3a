"""Which file or folder holds the annotations, and whose format it is."""

import pytest

from helpers.annotated import BOX, NAMES, coco, opened, voc, write
from sib.data.annotation_notes import sentences
from sib.data.open import open_data
from sib.data.readers.annotations import read_annotations
from sib.data.readers.annotations.load import LARGEST
from sib.utils.errors import InputError


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
            ("a.json", '[{"data": {}}]', "Label Studio's tasks without annotations"),
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


ANOTHER_LABELME = (
    "<annotation><filename>a.jpg</filename><object><name>cat</name><polygon>"
    "<pt><x>1</x><y>1</y></pt><pt><x>5</x><y>1</y></pt><pt><x>5</x><y>5</y></pt>"
    "</polygon></object></annotation>"
)
"""What LabelMe on the web writes, and CVAT exports as LabelMe 3.0."""


@pytest.mark.parametrize(
    ("content", "tool"),
    [
        ([{"image": "a.jpg", "annotations": []}], "Create ML"),
        ({"a.jpg1": {"filename": "a.jpg", "regions": []}}, "VIA"),
        ([{"id": 1, "image": "a.jpg", "label": []}], "Label Studio"),
        ({"project": {}, "file": {}, "metadata": {}, "view": {}}, "VIA 3"),
        ({"info": {}, "categories": {}, "items": []}, "Datumaro"),
        ([{"image_id": 1, "bbox": [1, 1, 2, 2], "score": 0.5}], "results"),
        ({"images": [], "categories": []}, "without annotations"),
    ],
)
def test_own_formats_of_tools_are_named(tmp_path, content, tool):
    with pytest.raises(InputError, match=tool):
        read_annotations(write(tmp_path / "a.json", content))


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("a.csv", "a.jpg,1,2,3,4,cat", "first line names the columns"),
        ("a.csv", "# Exported using VGG Image Annotator", "VIA 3"),
        ("a.txt", "cat 0.5 0.5 0.4 0.4", "a line of YOLO text is the number of a class"),
        ("a.txt", "a.jpg 1,2,3,4,0", "first line names the columns"),
        ("a.xml", "<annotations/>", "CVAT's own XML"),
        ("a.xml", ANOTHER_LABELME, "LabelMe's XML"),
    ],
)
@pytest.mark.parametrize("whole", [True, False])
def test_what_is_wrong_with_a_file_is_said_in_a_folder_too(tmp_path, name, text, sentence, whole):
    path = write(tmp_path / "set" / name, text)
    with pytest.raises(InputError) as error:
        read_annotations(path.parent if whole else path)
    assert sentence.lower() in str(error.value).lower()


def test_blank_texts_beside_another_format_are_not_of_yolo(folder, tmp_path):
    for name in NAMES:
        write((tmp_path / "set" / name).with_suffix(".xml"), voc())
    write(tmp_path / "set" / "ImageSets" / "val.txt", "\n")
    assert sentences(opened(folder, tmp_path / "set").description) == [
        "annotations: PASCAL VOC XML; 10 of 10 images have a foreground",
        "1 file is not of this format, the first: ImageSets/val.txt",
    ]
