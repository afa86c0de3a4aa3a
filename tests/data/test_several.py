"""Several labels an image: the tables that people have, and what is wrong with some of them."""

import numpy as np
import pytest
from PIL import Image

from sib.data.identity import ImageRow, class_names, read_rows, to_csv
from sib.data.loader import make_loader
from sib.data.open import open_data
from sib.data.readers.label_table import read_label_table
from sib.data.splits import multi_label_split
from sib.data.understood import remarks
from sib.utils.errors import InputError

LABELS = {"a.png": "cat;dog", "b.png": "dog", "c.png": "bird;cat", "d.png": "bird;dog"}


@pytest.fixture
def folder(tmp_path):
    for split in ("train", "test"):
        (tmp_path / split).mkdir()
        for number, name in enumerate(LABELS):
            pixels = np.full((8, 8, 3), 20 * number, dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / split / name)
    return tmp_path


def write(folder, header, rows):
    path = folder / "labels.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def listed(folder, mark=";"):
    rows = [
        f"{split}/{name},{labels.replace(';', mark)}"
        for split in ("train", "test")
        for name, labels in LABELS.items()
    ]
    return write(folder, "image,labels", rows)


def one_hot(folder):
    rows = [
        f"{split}/{name}," + ",".join(str(int(k in labels)) for k in ("bird", "cat", "dog"))
        for split in ("train", "test")
        for name, labels in LABELS.items()
    ]
    return write(folder, "filename,bird,cat,dog", rows)


@pytest.mark.parametrize("mark", [";", "|", " "])
def test_a_column_of_labels_is_read_whatever_stands_between_them(folder, mark):
    table = read_label_table(listed(folder, mark))
    assert table.classes == ["bird", "cat", "dog"]
    assert [row.labels for row in table.rows[:4]] == [(1, 2), (2,), (0, 1), (0, 2)]


def test_a_column_for_each_label_gives_the_same_splits(folder):
    first = open_data(str(folder), labels=listed(folder), validation_fraction=0.3)
    second = open_data(str(folder), labels=one_hot(folder), validation_fraction=0.3)
    assert first.label_kind == second.label_kind == "multi"
    assert first.classes == second.classes == ["bird", "cat", "dog"]
    for split in ("train", "validation", "test"):
        one, other = getattr(first, split), getattr(second, split)
        assert one.names == other.names and list(one.labels) == list(other.labels)


def test_a_batch_has_a_column_for_each_label(folder):
    splits = open_data(str(folder), labels=listed(folder))
    loader = make_loader(splits.test, image_size=8, batch_size=4, train=False)
    labels = next(iter(loader)).labels
    assert labels.tolist() == [[0, 1, 1], [0, 0, 1], [1, 1, 0], [1, 0, 1]]


def test_what_was_understood_is_said(folder):
    (folder / "train" / "e.png").write_bytes((folder / "train" / "a.png").read_bytes())
    said = " ".join(remarks(open_data(str(folder), labels=listed(folder))))
    assert "the column labels, semicolons between labels; 8 images, 1.75 labels an image" in said
    assert "dog 6, bird 4, cat 4" in said
    assert "1 images that the labels do not name" in said


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        ("image,labels", ["train/a.png,cat;dog", "train/x.png,dog"], "no image train/x.png"),
        ("image,labels", ["train/a.png,cat;dog", "train/a.png,dog"], "has a row already"),
        ("image,labels", ["train/a.png,cat;dog", "train/b.png,"], "train/b.png has no label"),
        ("image,labels", ["train/a.png,cat;cat"], "names a label twice"),
        ("image,labels", ["train/a.png,cat", "train/b.png,cat"], "only one label"),
        ("image,labels", [], "no row"),
        ("image,labels", ["train/a.png,cat,dog"], "2 columns are needed; got 3"),
        ("image,labels", [",cat"], "names no image"),
        ("image,cat,cat", ["train/a.png,1,0"], "two columns 'cat'"),
        ("image,x,y", ["train/a.png,red,5"], "needs a column labels"),
        ("image,labels", ["train/a.png,cat;dog", "test/a.png,cow"], "no training image has"),
        ("image,cat,dog", ["train/a.png,1,0"] * 100 + ["train/b.png,1,2"], "dog must be 0 or 1"),
        (
            "image,cat,dog",
            ["train/a.png,1,0", "train/b.png,0,1", "train/c.png,1,0.5"],
            "line 4: dog must be 0 or 1; got '0.5'",
        ),
        ("train/a.png,cat;dog", ["train/b.png,dog"], "first line must name the columns"),
        (
            "image,labels",
            ["train/a.png,cat;dog", "train/b.png,dog"],
            "names none of the 4 test images",
        ),
    ],
)
def test_a_table_that_is_wrong_is_refused_in_a_sentence(folder, header, rows, message):
    path = write(folder, header, rows)
    with pytest.raises(InputError, match=message) as caught:
        open_data(str(folder), labels=path)
    assert "\n" not in str(caught.value)


def test_two_folders_for_one_split_are_refused(folder):
    path = listed(folder)
    (folder / "train_2017").mkdir()
    with pytest.raises(InputError, match="train and train_2017 are both train splits"):
        open_data(str(folder), labels=path)


def test_a_folder_of_masks_is_not_a_second_split(folder):
    """Although ``seg`` is among the words that may follow the name of a split."""
    path = listed(folder)
    mask = np.zeros((30, 40), dtype=np.uint8)
    mask[2:5] = 255
    for image in folder.rglob("*.png"):
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)).save(
            image
        )
    (folder / "train_seg").mkdir()
    for name in LABELS:
        Image.fromarray(mask).save(folder / "train_seg" / name)
    splits = open_data(str(folder), labels=path, validation_fraction=0.3)
    found = splits.description["foregrounds"]
    assert found["train"] + found["validation"] == 4 and found["test"] == 0


def test_a_published_set_takes_no_labels():
    with pytest.raises(InputError, match="labels are for a folder of images"):
        open_data("digits", labels="labels.csv")


def test_a_split_keeps_the_share_of_every_label():
    generator = np.random.default_rng(0)
    chances = np.array([0.5, 0.2, 0.1, 0.05])
    labels = [tuple(np.flatnonzero(generator.random(4) < chances).tolist()) for _ in range(400)]
    kept, held = multi_label_split(labels, 0.25, seed=3)
    assert sorted(kept + held) == list(range(400))
    assert (kept, held) == multi_label_split(labels, 0.25, seed=3)
    for label in range(4):
        total = sum(label in own for own in labels)
        assert sum(label in labels[i] for i in held) == pytest.approx(0.25 * total, abs=1.5)


def test_the_only_image_of_a_label_is_trained_on():
    labels = [(0,)] * 9 + [(0, 1)]
    for seed in range(5):
        kept, _ = multi_label_split(labels, 0.5, seed)
        assert 9 in kept


def test_recorded_labels_are_read_back(tmp_path):
    rows = [
        ImageRow("train", (0, 2), '["a", "c; d"]', "x", "1.png"),
        ImageRow("test", (), "[]", "y", "2.png"),
        ImageRow("test", (1,), '["b"]', "z", "3.png"),
    ]
    path = tmp_path / "images.csv"
    path.write_text(to_csv(rows))
    assert read_rows(path) == rows
    assert class_names(rows) == ["a", "b", "c; d"]
