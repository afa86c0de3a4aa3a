"""Images of the same content in two splits or two classes."""

import shutil

import numpy as np
import pytest
from PIL import Image

from helpers.pictures import save
from sib.cli.main import main
from sib.data.copies import copies_in_records, copies_in_rows
from sib.data.identity import record_images
from sib.data.open import open_data


@pytest.fixture
def splits(tmp_path):
    for number, split in enumerate(("train", "test")):
        for label, name in enumerate(("cat", "dog")):
            for index in range(4):
                pixels = np.random.default_rng([number, label, index]).integers(0, 256, (8, 8, 3))
                file = tmp_path / split / name / f"{index}.png"
                save(file, Image.fromarray(pixels.astype(np.uint8)))
    return tmp_path


def sentences(folder):
    opened = open_data(str(folder), hold_out_validation=False)
    parts = {"train": opened.train, "test": opened.test}
    records = {name: source.records for name, source in parts.items()}
    found = copies_in_rows(record_images(parts, opened.classes))
    assert found == copies_in_records(records)
    return found


def test_none(splits):
    assert sentences(splits) == []


def test_between_splits(splits):
    shutil.copy(splits / "train/cat/1.png", splits / "test/cat/7.png")
    assert sentences(splits) == [
        "a test image has the content of a training image: test/cat/7.png is train/cat/1.png"
    ]
    shutil.copy(splits / "train/dog/2.png", splits / "test/dog/8.png")
    (found,) = sentences(splits)
    assert found.startswith("2 test images have the content of a training image, the first: test/")


def test_between_classes(splits):
    (splits / "train/dog/9.png").symlink_to(splits / "train/cat/1.png")
    assert sentences(splits) == [
        "an image is in two classes: train/cat/1.png and train/dog/9.png have the same content"
    ]
    shutil.copy(splits / "train/cat/2.png", splits / "train/dog/8.png")
    assert sentences(splits)[0].startswith("2 images are in two classes, the first as train/")


def test_copies_in_one_class_of_one_split_are_not_reported(splits):
    shutil.copy(splits / "train/cat/1.png", splits / "train/cat/9.png")
    assert sentences(splits) == []


def test_a_file_that_is_missing_hides_no_copy_from_the_check(splits, capsys):
    shutil.copy(splits / "train/cat/1.png", splits / "test/cat/7.png")
    (splits / "train/cat/link.png").symlink_to("/nowhere/x.png")
    assert main(["data", "check", str(splits), "--workers", "0"]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "test/cat/7.png is train/cat/1.png" in out and "link to /nowhere/x.png" in out
