"""``sib data make-spurious``: objects in front of backgrounds that predict the class."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from helpers.handmade import COLOURS, PLACE, SIDE, images, mask, picture
from helpers.pictures import save
from sib.cli.main import main
from sib.data import open_data
from sib.data.spurious import command
from sib.data.spurious.compose import cropped, empty_scene, pasted
from sib.data.spurious.families import cut_colours, families_of, members, pattern
from sib.data.spurious.plan import test_pictures as plan_test
from sib.data.spurious.plan import train_pictures as plan_train
from sib.data.spurious.write import folder_names
from sib.utils.errors import InputError


@pytest.fixture
def source(tmp_path):
    return images(tmp_path / "source", with_groups=False)


def make(source, out, *options, code=0):
    arguments = ["data", "make-spurious", str(source), "--out", str(out), *options]
    assert main(arguments) == code
    return out


def rows_of(out):
    with open(out / "groups.csv", newline="") as file:
        return list(csv.DictReader(file))


def pixels_of(path):
    return np.asarray(Image.open(path).convert("RGB"))


def listing(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_backgrounds_of_other_images_predict_the_class_in_training_alone(tmp_path, source, capsys):
    """The source's backgrounds are even and of three colours, so the families are these."""
    before = listing(source)
    out = make(source, tmp_path / "out", "--strength", "1", "--backgrounds", "images")
    rows = rows_of(out)
    behind = {(row["image"].split("/")[0], row["class"]): set() for row in rows}
    family = {}
    for row in rows:
        pixels = pixels_of(out / row["image"])
        assert (pixels[PLACE, PLACE] == COLOURS[row["class"]]).all()
        outside = np.unique(pixels[np.asarray(mask()) == 0], axis=0)
        assert len(outside) == 1
        split = row["image"].split("/")[0]
        behind[split, row["class"]].add(tuple(outside[0]))
        assert family.setdefault(row["background_of"], tuple(outside[0])) == tuple(outside[0])
        own = row["class"] == row["background_of"]
        assert row["group"] == f"{row['class']}, {'own' if own else 'other'} background"
        assert row["object_from"] != row["background_from"] != ""
        stored = Image.open(out / row["image"].replace(".png", "_mask.png"))
        assert (np.asarray(stored) == mask()).all()
    assert all(len(colours) == 1 for (split, _), colours in behind.items() if split == "train")
    assert all(len(colours) == 3 for (split, _), colours in behind.items() if split == "test")
    assert len(set(family.values())) == 3
    assert listing(source) == before and sorted(p.name for p in tmp_path.iterdir()) == [
        "out",
        "source",
    ]
    facts = json.loads((out / "make-spurious.json").read_text())
    assert facts["images"] == {"train": 18, "test": 54}
    assert facts["own_background"] == {"train": 1, "test": pytest.approx(1 / 3)}
    assert "54 test images of 18 objects, each in front of 3 families" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["procedural", "both"])
def test_the_ordinary_reader_takes_it(tmp_path, source, kind, capsys):
    out = make(source, tmp_path / "out", "--backgrounds", kind, "--strength", "0.7")
    assert main(["data", "check", str(out), "--workers", "0"]) == 0
    splits = open_data(str(out), hold_out_validation=False)
    assert (len(splits.train), len(splits.test)) == (18, 54)
    assert splits.classes == sorted(COLOURS)
    sample = splits.train[0]
    assert sample.foreground.sum() == 16 * 16
    rows = rows_of(out)
    train = [row for row in rows if row["image"].startswith("train")]
    for name in COLOURS:
        own = [row["background_of"] == name for row in train if row["class"] == name]
        assert (sum(own), len(own)) == (4, 6)  # round(0.7 · 6)
    kinds = {row["kind"] for row in rows}
    assert kinds == ({"procedural"} if kind == "procedural" else {"procedural", "image"})
    assert all(bool(row["background_from"]) == (row["kind"] == "image") for row in rows)


def test_the_seed_decides_everything(tmp_path, source):
    first, again, other = (
        listing(make(source, tmp_path / name, "--seed", seed))
        for name, seed in (("a", "3"), ("b", "3"), ("c", "4"))
    )
    assert first == again and first.keys() == other.keys()
    assert first["groups.csv"] != other["groups.csv"]


def test_fewer_test_backgrounds(tmp_path, source):
    out = make(source, tmp_path / "out", "--test-backgrounds", "2", "--backgrounds", "procedural")
    objects = [row["object_from"] for row in rows_of(out) if row["image"].startswith("test")]
    assert {objects.count(name) for name in objects} == {2} and len(set(objects)) == 18


def test_large_images_are_scaled_with_their_masks(tmp_path):
    root = tmp_path / "large"
    for name in ("a", "b"):
        for number in range(6):
            pixels = np.random.default_rng(number).integers(0, 255, (60, 90, 3), dtype=np.uint8)
            save(root / name / f"{number}.png", pixels)
            inside = np.zeros((60, 90), np.uint8)
            inside[20:40, 30:60] = 1
            save(root / name / f"{number}_mask.png", inside)
    out = make(root, tmp_path / "out", "--side", "20", "--backgrounds", "procedural")
    sample = open_data(str(out)).test[0]
    assert sample.image.shape == (3, 20, 30)
    expected = torch.zeros(1, 20, 30, dtype=torch.bool)
    expected[:, 7:13, 10:20] = True  # pixel k of the small mask is pixel 3 k + 1 of the large one
    assert torch.equal(sample.foreground.as_subclass(torch.Tensor), expected)


def said(tmp_path, source, out, capsys, *options):
    make(source, out, *options, code=2)
    assert not any(path.name.endswith(".part") for path in tmp_path.rglob(".*"))
    return " ".join(capsys.readouterr().err.split())


def test_bad_input(tmp_path, source, capsys):
    out = tmp_path / "out"
    assert "--strength must be from 0 to 1; got 1.5" in said(
        tmp_path, source, out, capsys, "--strength", "1.5"
    )
    assert "--side must be from 16 to 4096" in said(tmp_path, source, out, capsys, "--side", "8")
    assert "lies in" in said(tmp_path, source, source / "new", capsys)
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    assert "is not empty; give a folder" in said(tmp_path, source, out, capsys)
    assert (out / "mine.txt").read_text() == "mine"
    assert "is a file" in said(tmp_path, source, out / "mine.txt", capsys)
    assert "does not exist" in said(tmp_path, tmp_path / "nothing", tmp_path / "new", capsys)


def test_sources_that_cannot_be_used(tmp_path, source, capsys):
    for path in (source / "train" / "red").glob("*_mask.png"):
        Image.fromarray(np.full((SIDE, SIDE), 255, np.uint8)).save(path)
    out = tmp_path / "out"
    assert "no train image of the class red in source has a foreground with background" in said(
        tmp_path, source, out, capsys
    )
    for path in source.rglob("*.png"):
        own = mask() if path.stem.endswith("_mask") else picture(path.parent.name, "red")
        Image.fromarray(own).save(path)
    assert "too similar to make 3 families of them: give --backgrounds procedural" in said(
        tmp_path, source, out, capsys
    )
    assert not out.exists()


def test_images_without_an_object_are_left_out_and_counted(tmp_path, source, capsys):
    (source / "test" / "red" / "0_mask.png").unlink()
    out = make(source, tmp_path / "out", "--backgrounds", "procedural")
    facts = json.loads((out / "make-spurious.json").read_text())
    assert facts["left_out"] == {"train": 0, "test": 1} and facts["images"]["test"] == 51
    shown = capsys.readouterr().out
    assert "Left out, without an object or without a background: 0 training and 1 test" in shown


def test_a_stop_leaves_nothing(tmp_path, source, monkeypatch):
    saved = []

    def fail(*arguments):
        saved.append(arguments)
        if len(saved) == 5:
            raise InputError("the disk is full")

    monkeypatch.setattr(command, "save_picture", fail)
    make(source, tmp_path / "out", code=2)
    assert len(saved) == 5 and [path.name for path in tmp_path.iterdir()] == ["source"]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40), st.floats(0, 1), st.integers(0, 99))
def test_the_plan_has_the_share_that_was_asked_for(labels, strength, seed):
    found = plan_train(labels, 4, strength, "both", np.random.default_rng(seed))
    assert [picture.place for picture in found] == list(range(len(labels)))
    for label in set(labels):
        own = [p.family == label for p in found if labels[p.place] == label]
        assert sum(own) == int(len(own) * strength + 0.5)
    assert abs(sum(p.procedural for p in found) - len(found) / 2) <= 0.5


def test_the_test_does_not_look_at_the_class():
    first = plan_test([0, 1, 2, 0], 5, 3, "images", np.random.default_rng(0))
    second = plan_test([1, 1, 1, 1], 5, 3, "images", np.random.default_rng(0))
    assert first == second
    assert {len({p.family for p in first if p.place == place}) for place in range(4)} == {3}
    whole = plan_test([0, 1], 5, 5, "procedural", np.random.default_rng(0))
    assert [p.family for p in whole] == [*range(5), *range(5)]
    assert all(p.procedural for p in whole)


@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(0, 30))
def test_families_are_complete_and_of_about_one_size(seed, count, more):
    colours = np.random.default_rng(seed).random((count + more, 3))
    cuts = cut_colours(colours, count)
    sizes = np.bincount(families_of(colours, cuts), minlength=count)
    assert len(sizes) == count and sizes.min() >= 1
    assert sizes.max() <= len(colours) / count * 2 + 2
    means = np.stack([colours[families_of(colours, cuts) == k].mean(axis=0) for k in range(count)])
    (lonely,) = {tuple(row) for row in colours[:1]}
    alone = members(np.array([lonely]), cuts, means)
    assert all(rows.tolist() == [0] for rows in alone)


def test_colours_that_are_alike_make_no_families():
    with pytest.raises(ValueError, match="fewer different colours than families"):
        cut_colours(np.ones((6, 3)), 2)


def test_families_of_patterns_can_be_told_apart():
    """Twelve families of six patterns, by the mean colours of their dark and their light half."""
    drawn = np.array(
        [
            [halves(pattern(k, np.random.default_rng([k, n]), 32)) for n in range(8)]
            for k in range(12)
        ]
    )
    again = pattern(4, np.random.default_rng((4, 0)), 32)
    assert (halves(again) == drawn[4, 0]).all() and again.dtype == np.uint8
    centres = drawn[:, :4].mean(axis=1)
    distances = np.linalg.norm(drawn[:, 4:, None] - centres, axis=-1)
    assert (distances.argmin(axis=-1) == np.arange(12)[:, None]).mean() > 0.85


def halves(pixels):
    flat = pixels.reshape(-1, 3).astype(float)
    order = flat.sum(axis=1).argsort()
    return np.concatenate([half.mean(axis=0) for half in np.array_split(flat[order], 2)])


def test_a_picture_is_exact():
    image = torch.randint(0, 255, (3, 12, 14), dtype=torch.uint8)
    inside = torch.zeros(1, 12, 14, dtype=torch.bool)
    inside[:, 3:9, 4:10] = True
    scene = empty_scene(image, inside)
    assert torch.equal(scene[:, ~inside[0]], image[:, ~inside[0]])
    part = cropped(scene, (20, 8), np.random.default_rng(0))
    assert part.shape == (3, 20, 8)
    background = torch.full_like(image, 7)
    found = pasted(image, inside, background)
    assert torch.equal(found[:, inside[0]], image[:, inside[0]])
    assert (found[:, ~inside[0]] == 7).all()
    tall = torch.zeros(1, 12, 14, dtype=torch.bool)
    tall[0, :, 0] = tall[0, :, -1] = tall[0, 0] = tall[0, -1] = True
    assert empty_scene(image, tall).shape == image.shape  # no strip beside its box


def test_names_of_classes_cannot_lead_out_of_the_folder():
    assert folder_names(["a b", "c.d-1"]) == ["a b", "c.d-1"]
    for name in folder_names(["../../x", "..", "x/y", "\x00", "Ä"]):
        assert Path(name).name == name and name not in ("", ".", "..") and name[0] != "."
    assert len(set(folder_names(["A", "a", ".."]))) == 3
