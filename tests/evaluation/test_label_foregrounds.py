"""The foreground of the explained label, where annotations name the class of each object."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from sib.data import open_data
from sib.data.annotation_notes import NOTE, sentences
from sib.data.objects import objects_by_label
from sib.data.readers.annotations import read_annotations
from sib.data.sample import Box, Objects
from sib.data.transforms import JointTransform
from sib.evaluation.foregrounds import LabelForegrounds

LEFT, RIGHT = [0, 0, 8, 16], [8, 0, 8, 16]


@pytest.fixture
def folder(tmp_path):
    """Eight images of 16 × 16 with two labels each: a cat on the left, a dog on the right."""
    root = tmp_path / "photos"
    root.mkdir()
    rows = ["image,labels"]
    for number in range(8):
        Image.fromarray(np.full((16, 16, 3), number * 9, np.uint8)).save(root / f"{number}.png")
        rows.append(f"{number}.png,cat;wild-dog")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    return root


def coco(classes):
    """A cat on the left and the other class on the right of each image."""
    names = ["cat", *classes]
    images = [{"id": n, "file_name": f"{n}.png", "height": 16, "width": 16} for n in range(8)]
    objects = [
        {"image_id": n, "category_id": place, "bbox": box}
        for n in range(8)
        for place, box in ((0, LEFT), (1, RIGHT))
    ]
    categories = [{"id": place, "name": name} for place, name in enumerate(names)]
    return {"images": images, "annotations": objects, "categories": categories}


def opened(folder, content):
    path = folder.parent / "coco.json"
    path.write_text(json.dumps(content))
    return open_data(
        str(folder), annotations=str(path), labels=folder.parent / "labels.csv", image_size=16
    )


def selected(splits, target):
    source = splits.test
    transform = JointTransform(16)
    names, union = source.names[:1], torch.ones(1, 16, 16, dtype=torch.bool)
    return LabelForegrounds(source, transform).select(names, torch.tensor([target]), union)


def test_each_label_has_its_own_objects(folder):
    splits = opened(folder, coco(["Wild_Dog"]))
    expected = torch.zeros(16, 16, dtype=torch.bool)
    expected[:, :8] = True
    for target, mask in ((0, expected), (1, ~expected)):
        found, of_label = selected(splits, target)
        assert of_label.all()
        assert torch.equal(found[0], mask)
    assert splits.test[0].foreground.all()  # the union
    assert "lacking" not in splits.description[NOTE]


def test_a_label_without_an_object_keeps_the_union_and_is_counted(folder):
    splits = opened(folder, coco(["horse"]))
    found, of_label = selected(splits, 1)
    assert not of_label.any()
    assert found.all()
    said = "\n".join(sentences(splits.description))
    assert "8 objects are of a class that is not a label, the first: 0.png" in said
    assert "8 annotated images lack an object of a label that they have" in said


def test_annotations_without_classes_have_the_union(folder):
    content = coco(["wild-dog"])
    del content["categories"]
    assert not selected(opened(folder, content), 0)[1].any()


def test_the_exact_name_comes_before_one_that_is_alike():
    objects = Objects((Box(0, 0, 1, 1), Box(1, 1, 1, 1)), ("Cat", None))
    assert set(objects_by_label(objects, ["cat", "Cat"])) == {1}
    assert set(objects_by_label(objects, ["cat", "dog"])) == {0}
    assert objects_by_label(Objects(objects.shapes), ["cat"]) == {}


VOC = """<annotation><filename>a.png</filename><object><name> cat </name><bndbox><xmin>0</xmin>
<ymin>0</ymin><xmax>4</xmax><ymax>4</ymax></bndbox></object></annotation>"""
LABELME = {
    "imagePath": "a.png",
    "shapes": [{"label": "cat", "shape_type": "rectangle", "points": [[0, 0], [4, 4]]}],
}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.xml", VOC),
        ("a.json", json.dumps(LABELME)),
        ("a.csv", "image,x,y,width,height,class\na.png,0,0,4,4,cat\n"),
    ],
)
def test_formats_name_the_class_of_an_object(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    (found,) = read_annotations(tmp_path / name).annotations
    assert found.classes == ("cat",)
