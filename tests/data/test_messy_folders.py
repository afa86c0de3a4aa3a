"""Folders as people have them: what is understood, and what is refused with the way out."""

import json

import numpy as np
import pytest
from PIL import Image

from helpers.pictures import save, square_mask, square_pixels
from sib.data.open import open_data
from sib.data.readers.mask_values import grey_values
from sib.data.understood import left_out_in_words, remarks
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
