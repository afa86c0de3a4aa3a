"""The record of a run's images, and what it notices."""

import os
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.pictures import save, save_classes, square_mask, square_pixels
from sib.data import contents, open_data
from sib.data.identity import (
    ImageRow,
    fingerprint,
    read_rows,
    record_images,
    to_csv,
    trained_on,
    without_absolute_paths,
)
from sib.data.recorded import OtherImages, open_recorded
from sib.utils.errors import InputError


def save_distinct(root, classes=("cat", "dog"), count=10):
    for label, name in enumerate(classes):
        for number in range(count):
            pixels = square_pixels()
            pixels[0, 0] = (number, label, 0)
            save(root / name / f"{number}.png", pixels)
    return root


def recorded(root):
    splits = open_data(str(root))
    parts = {name: getattr(splits, name) for name in ("train", "validation", "test")}
    return splits, record_images(parts, splits.classes)


def again(root, rows, split="test", **options):
    said = []
    return open_recorded(str(root), rows, split, root=root, info=said.append, **options), said


class TestHolding:
    def test_the_same_folder_gives_the_same_splits(self, tmp_path):
        splits, rows = recorded(save_distinct(tmp_path))
        held, said = again(tmp_path, rows)
        for name in ("train", "validation", "test"):
            assert getattr(held, name).names == getattr(splits, name).names
            assert getattr(held, name).labels == getattr(splits, name).labels
        assert held.description["splits_sha256"] == splits.description["splits_sha256"]
        assert held.description["split_rule"] == "as the run recorded it" and said == []

    def test_images_that_were_added_are_left_out(self, tmp_path):
        splits, rows = recorded(save_distinct(tmp_path))
        for name in ("cat", "dog"):
            save(tmp_path / name / "00.png", square_pixels())
        assert open_data(str(tmp_path)).test.names != splits.test.names
        held, said = again(tmp_path, rows)
        assert held.test.names == splits.test.names
        assert "2 images are not in the run's record (first cat/00.png)" in said[0]

    def test_a_class_that_was_added_moves_no_label(self, tmp_path):
        splits, rows = recorded(save_distinct(tmp_path))
        save_classes(tmp_path, ("ant",))
        held, _ = again(tmp_path, rows)
        assert held.classes == ["cat", "dog"]
        assert held.test.names == splits.test.names and held.test.labels == splits.test.labels

    def test_a_missing_image_is_refused_in_its_split_alone(self, tmp_path):
        splits, rows = recorded(save_distinct(tmp_path))
        gone = splits.test.names[1]
        (tmp_path / gone).unlink()
        with pytest.raises(OtherImages, match=rf"test images .*1 image is missing \({gone}\)"):
            again(tmp_path, rows)
        held, said = again(tmp_path, rows, "train")
        assert held.train.names == splits.train.names
        assert f"1 image of another split is missing ({gone})" in said[0]

    def test_other_contents_are_refused(self, tmp_path):
        splits, rows = recorded(save_distinct(tmp_path))
        for name in splits.test.names[:2]:
            save(tmp_path / name, square_pixels())
        with pytest.raises(OtherImages, match=r"2 images have different content \(first cat/"):
            again(tmp_path, rows)

    def test_other_classes_are_refused(self, tmp_path):
        _, rows = recorded(save_distinct(tmp_path))
        swapped = {"cat": "dog", "dog": "cat"}
        odd = [row._replace(class_name=swapped[row.class_name]) for row in rows]
        with pytest.raises(OtherImages, match="4 images have another class"):
            again(tmp_path, odd)

    def test_a_folder_that_was_moved(self, tmp_path):
        splits, rows = recorded(save_distinct(tmp_path / "old"))
        shutil.move(tmp_path / "old", tmp_path / "new")
        held, said = again(tmp_path / "new", rows)
        assert held.test.names == splits.test.names and said == []
        assert held.folder == tmp_path / "new"

    def test_masks_may_come_later(self, tmp_path):
        splits, rows = recorded(save_distinct(tmp_path))
        for name in ("cat", "dog"):
            for number in range(10):
                save(tmp_path / name / f"{number}_mask.png", square_mask(255))
        held, _ = again(tmp_path, rows)
        assert held.test.names == splits.test.names
        assert held.description["foregrounds"]["test"] == 4

    def test_images_that_cannot_be_read_any_more(self, tmp_path):
        splits, rows = recorded(save_distinct(tmp_path))
        (tmp_path / splits.test.names[0]).write_bytes(b"")
        with pytest.raises(OtherImages, match="1 image has different content"):
            again(tmp_path, rows, skip_bad=True)


class TestRecord:
    def test_the_fingerprint_follows_names_and_contents_and_not_splits(self, tmp_path):
        _, rows = recorded(save_distinct(tmp_path))
        own = fingerprint(rows)
        assert fingerprint(rows[::-1]) == own
        assert fingerprint([row._replace(split="test") for row in rows]) == own
        assert fingerprint([rows[0]._replace(name="x"), *rows[1:]]) != own
        assert fingerprint([rows[0]._replace(content="x"), *rows[1:]]) != own

    def test_a_hand_computed_checksum(self, tmp_path):
        (tmp_path / "a").write_bytes(b"abc")  # FIPS 180-2, example B.1
        assert contents.contents_of([tmp_path / "a"]) == ["ba7816bf8f01cfea414140de5dae2223"]

    def test_contents_are_remembered_until_a_file_changes(self, tmp_path, monkeypatch):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        path = tmp_path / "a"
        path.write_bytes(b"abc")
        first = contents.contents_of([path])
        with monkeypatch.context() as patch:
            patch.setattr(contents.hashlib, "file_digest", None)
            assert contents.contents_of([path]) == first
        stamp = path.stat()
        path.write_bytes(b"abd")
        os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
        assert contents.contents_of([path]) != first

    @pytest.mark.parametrize("content", ["", "[1]", '{"x": 1'])
    def test_a_damaged_memory_is_written_again(self, tmp_path, monkeypatch, content):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        (tmp_path / "a").write_bytes(b"abc")
        first = contents.contents_of([tmp_path / "a"])
        (file,) = (tmp_path / "cache" / "sib" / "contents").iterdir()
        file.write_text(content)
        assert contents.contents_of([tmp_path / "a"]) == first

    def test_of_very_many_files_some_are_known_by_their_size(self, tmp_path, monkeypatch):
        monkeypatch.setattr(contents, "MOST_READ", 3)
        monkeypatch.setattr(contents, "SAMPLE", 2)
        paths = [tmp_path / str(number) for number in range(4)]
        for number, path in enumerate(paths):
            path.write_bytes(bytes(number))
        found = contents.contents_of(paths)
        assert found[1] == "size:1" and found[3] == "size:3" and len(found[2]) == 32
        paths[3].write_bytes(b"abcd")
        assert contents.same_contents(paths, found) == [True, True, True, False]

    def test_images_that_were_trained_on_are_known_by_their_content(self, tmp_path):
        splits, rows = recorded(save_distinct(tmp_path / "old"))
        name = splits.train.names[3]
        save_distinct(tmp_path / "new", count=3)
        for number in range(3):
            pixels = square_pixels()
            pixels[0, 0] = (200, number, 9)
            save(tmp_path / "new" / "cat" / f"{number}.png", pixels)
            save(tmp_path / "new" / "dog" / f"{number}.png", pixels + 1)
        shutil.copy(tmp_path / "old" / name, tmp_path / "new" / "cat" / "2.png")
        new = open_data(str(tmp_path / "new"))
        records = [r for s in (new.train, new.validation, new.test) for r in s.records]
        assert trained_on(rows, records) == ["cat/2.png"]

    def test_drawn_images_have_no_record(self):
        splits = open_data("digits", train_size=20, test_size=10)
        assert record_images({"train": splits.train}, splits.classes) is None

    TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), min_size=1)

    @given(names=st.lists(TEXT, min_size=1, unique=True), class_name=TEXT)
    def test_any_names_are_read_back(self, tmp_path_factory, names, class_name):
        rows = [ImageRow("test", 0, class_name, "c", name) for name in names]
        path = tmp_path_factory.mktemp("rows") / "images.csv"
        path.write_text(to_csv(rows), encoding="utf-8", newline="")
        assert read_rows(path) == rows

    @pytest.mark.parametrize(
        ("line", "part"),
        [
            ("other,0,a,c,x.png", "names a split 'other'"),
            ("test,-1,a,c,x.png", "names a label '-1'"),
            ("test,9999999,a,c,x.png", "names a label"),
            ("test,0,a,c", "more or fewer cells"),
            ("test,0,b,c,x.png", "label 0 has two names"),
            ("test,0,a,c,0.png", "listed twice"),
            (f"test,[0],{'[' * 100_000},c,x.png", "is damaged: maximum recursion depth"),
        ],
    )
    def test_a_damaged_table(self, tmp_path, line, part):
        path = tmp_path / "images.csv"
        path.write_text(to_csv([ImageRow("test", 0, "a", "c", "0.png")]) + line + "\n")
        with pytest.raises(InputError, match=part):
            read_rows(path)

    def test_a_table_without_a_label(self, tmp_path):
        path = tmp_path / "images.csv"
        path.write_text(to_csv([ImageRow("test", (), "[]", "c", "0.png")]))
        with pytest.raises(InputError, match="is damaged: no image has a label"):
            read_rows(path)

    def test_no_table(self, tmp_path):
        assert read_rows(tmp_path / "images.csv") is None


def test_absolute_paths_are_stripped():
    found = without_absolute_paths(
        {
            "path": "/home/me/sets/ev",
            "given": "../ev",
            "command": ["sib", "--data", "~/ev", "--out=/home/me/run", "a/b"],
            "number": 3,
            "nested": {"masks": None, "root": "/"},
        }
    )
    assert found == {
        "path": "ev",
        "given": "../ev",
        "command": ["sib", "--data", "ev", "--out=run", "a/b"],
        "number": 3,
        "nested": {"masks": None, "root": ""},
    }
