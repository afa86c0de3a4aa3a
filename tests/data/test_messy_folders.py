"""Folders as people have them: what is understood, and what is refused with the way out."""

import json

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from helpers.pictures import save, square_mask, square_pixels
from sib.data.open import open_data
from sib.data.readers.annotations import read_annotations
from sib.data.readers.decode import read_image
from sib.data.readers.mask_values import grey_values
from sib.data.understood import foregrounds_in_words, left_out_in_words, remarks
from sib.utils.errors import InputError

CLASSES = ("cat", "dog")


def fill(folder, ending=".png", count=5):
    for name in CLASSES:
        for number in range(count):
            save(folder / name / f"{number}{ending}", square_pixels())
    return folder


def test_a_test_folder_alone_serves_to_measure(tmp_path):
    fill(tmp_path / "test")
    splits = open_data(str(tmp_path), needs_training=False)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (0, 0, 10)
    assert splits.classes == list(CLASSES)
    with pytest.raises(InputError, match="it holds test, and training images are needed"):
        open_data(str(tmp_path))


@pytest.mark.parametrize("names", [("fold_train", "fold_test"), ("set1", "test1"), ("a", "unseen")])
def test_splits_under_compound_names_are_not_classes(tmp_path, names):
    for name in names:
        fill(tmp_path / name)
    with pytest.raises(InputError, match="is a split by its name"):
        open_data(str(tmp_path))


def test_the_same_folders_in_each_class_are_reported(tmp_path):
    for name in ("indoor", "outdoor"):
        fill(tmp_path / name)
    splits = open_data(str(tmp_path))
    assert splits.classes == ["indoor", "outdoor"]
    assert any("each holds the folders cat, dog" in sentence for sentence in remarks(splits))


def test_a_folder_of_labels_in_a_class_is_not_photographs(tmp_path):
    for name in CLASSES:
        for number in range(5):
            save(tmp_path / name / "images" / f"{number}.jpg", square_pixels())
            save(tmp_path / name / "labels" / f"{number}.png", square_mask(255))
    with pytest.raises(InputError, match="call it masks"):
        open_data(str(tmp_path))
    assert open_data(str(tmp_path), mask_ending="none").description["images"]["train"] > 10


def test_annotations_in_class_folders(tmp_path):
    fill(tmp_path)
    for image in list(tmp_path.rglob("*.png")):
        shape = {"points": [[12, 8], [28, 8], [28, 20], [12, 20]], "shape_type": "rotation"}
        content = {"shapes": [shape], "imagePath": image.name}
        image.with_suffix(".json").write_text(json.dumps(content))
    facts = open_data(str(tmp_path)).description
    assert "10 .json (if the .json files are annotations, --input.annotations FOLDER reads" in (
        left_out_in_words(facts)
    )
    facts = open_data(str(tmp_path), annotations=str(tmp_path)).description
    assert left_out_in_words(facts) == "" and facts["annotations"]["annotated"] == 10


def test_opacity_of_nearly_one_is_not_a_shape(tmp_path):
    mask = square_mask(255)
    alpha = np.full_like(mask, 255)
    alpha[0, :5] = 254
    image = Image.fromarray(np.dstack([mask, mask, mask, alpha]))
    assert (grey_values(image, tmp_path) == mask).all()


@pytest.mark.parametrize("around", [("archive",), ("a", "PetImages"), ("train", "train")])
def test_classes_one_folder_deeper_are_pointed_to(tmp_path, around):
    fill(tmp_path.joinpath(*around))
    (tmp_path / "__MACOSX" / "archive").mkdir(parents=True)
    with pytest.raises(InputError) as refused:
        open_data(str(tmp_path))
    place = tmp_path.joinpath(*around)
    assert f"{place} holds 2 folders, cat and dog: name it as the data" in str(refused.value)


def test_dark_images_of_8_bits(tmp_path):
    for name in CLASSES:
        for number in range(5):
            save(tmp_path / name / f"{number}.png", square_mask(7))
    splits = open_data(str(tmp_path))
    assert remarks(splits) == [
        "8-bit images use the values 0 to 7 of 0 to 255, so they look nearly black; "
        "--input.value-range 0-7 stretches them"
    ]
    stretched = open_data(str(tmp_path), value_range="0-7")
    assert remarks(stretched) == []
    assert stretched.train[0].image.unique().tolist() == [0, 255]
    image = save(tmp_path / "cat" / "bright.png", square_pixels())
    assert remarks(open_data(str(tmp_path))) == []
    assert torch.equal(read_image(image, (0, 4095)), read_image(image))
    with_alpha = Image.merge("LA", [Image.fromarray(square_mask(7)), Image.new("L", (40, 30), 255)])
    with_alpha.save(tmp_path / "alpha.png")
    assert read_image(tmp_path / "alpha.png", (0, 7)).unique().tolist() == [0, 255]


def with_masks(folder, mask):
    fill(folder)
    for image in list(folder.rglob("*.png")):
        save(image.with_name(f"{image.stem}_mask.png"), mask)
    return open_data(str(folder))


def test_masks_that_look_inverted_or_cover_everything_are_reported(tmp_path):
    splits = with_masks(tmp_path / "good", square_mask(255))
    assert remarks(splits) == [] and foregrounds_in_words(splits.description).startswith("10 of 10")
    inverted = remarks(with_masks(tmp_path / "inverted", 255 - square_mask(255)))
    assert len(inverted) == 1 and "if the objects are black in the masks" in inverted[0]
    whole = remarks(with_masks(tmp_path / "whole", np.full((30, 40), 255, np.uint8)))
    assert len(whole) == 1 and "foregrounds cover their whole image" in whole[0]


def test_empty_masks_and_even_greys_are_reported(tmp_path):
    empty = remarks(with_masks(tmp_path / "empty", square_mask(0)))
    assert empty == ["8 of 8 foregrounds are empty"]  # of train and test
    labels = square_mask(200)
    labels[20:26] = 55  # of another part, which 128 would cut off without a word
    (remark,) = remarks(with_masks(tmp_path / "greys", labels))
    assert remark.startswith("8 of 8 masks hold even areas of grey, such as 55, 200: 128 and")
    outlined = np.array(Image.fromarray(square_mask(255)).filter(ImageFilter.GaussianBlur(0.7)))
    assert len(np.unique(outlined)) > 4
    assert remarks(with_masks(tmp_path / "outlined", outlined)) == []


def test_rows_without_a_box_are_images_without_an_object(tmp_path):
    table = tmp_path / "boxes.csv"
    table.write_text("image,x,y,width,height\n0.png,,,,\n1.png,1,2,3,4\n")
    (with_box,) = (a for a in read_annotations(table).annotations if a.shapes)
    assert with_box.names == ("1.png",)
    table.write_text("image,x,y,width,height\n0.png,,2,,\n")
    with pytest.raises(InputError, match="line 2: x must be a number"):
        read_annotations(table)


FRACTIONS = {
    "one.csv": "image,x,y,width,height\ncat/0.png,0.1,0.1,0.5,0.5\ncat/1.png,1,2,3,4\n",
    "boxes.csv": "image,x,y,width,height\ncat/0.png,0.1,0.1,0.5,0.5\n",
    "edges.csv": "image,xmin,ymin,xmax,ymax\ncat/0.png,0.1,0.1,0.5,1\n",
    "coco.json": json.dumps(
        {
            "images": [{"id": 1, "file_name": "cat/0.png"}],
            "annotations": [{"image_id": 1, "bbox": [0, 0, 0.5, 1]}],
        }
    ),
}


@pytest.mark.parametrize("name", FRACTIONS)
def test_fractions_where_pixels_belong_are_refused(tmp_path, name):
    folder = fill(tmp_path / "data")
    path = tmp_path / name
    path.write_text(FRACTIONS[name])
    with pytest.raises(InputError, match=r"lie between 0 and 1.*write them in pixels"):
        open_data(str(folder), annotations=str(path))


@pytest.mark.parametrize("track", ["0", "1", "71"])
def test_a_yolo_line_with_a_track_is_not_a_triangle(tmp_path, track):
    (tmp_path / "a.txt").write_text(f"0 0.3 0.25 0.4 0.25 0.9 {track}\n")
    with pytest.raises(InputError, match="line 1: this looks like a box, its confidence and"):
        read_annotations(tmp_path)
