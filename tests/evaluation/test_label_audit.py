"""``sib audit`` with several labels an image, on classifiers whose every decision is known."""

import json

import pytest

from helpers.several import arguments, images, weights
from sib.cli.main import main
from sib.data import open_data
from sib.evaluation.audit.difference import differences
from sib.evaluation.stored import AUDIT
from sib.metrics.behaviour import FILLS


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return images(tmp_path_factory.mktemp("several"))


def audited(tmp_path, data, name, *options):
    path = weights(tmp_path, name)
    assert main(["audit", str(path), *arguments(name, data), *options]) == 0
    return AUDIT.read(tmp_path / f"{name}-evaluation")


def test_reader_of_the_objects(tmp_path, data, capsys):
    found = audited(tmp_path, data, "object_reader", "--groups", str(data / "groups.csv")).facts
    assert (found["images"], found["scored"], found["pairs"]) == (24, 18, 24)
    # six images have no label, and so no object
    assert found["left_out"] == {
        "without_foreground": 6,
        "all_foreground": 0,
        "labels_without_object": 0,
    }
    assert found["accuracy"]["mean"] == 1 and found["chance"] == 0 and "majority" not in found
    for name, row in found["conditions"].items():
        assert row["images"] == 18 and row["without_value"] == 0, name
        if name != "original":
            assert row["added"]["mean"] == 0, name
        if name.startswith("background_alone"):
            assert row["accuracy"]["mean"] == 0, name
        elif name != "noised":
            assert row["accuracy"] == {"mean": 1, "low": 1, "high": 1}, name
            assert row["worst_group"]["mean"] == 1 and row["worst_class"]["images"] == 12
    shown = " ".join(capsys.readouterr().out.split())
    assert "whole set of labels right for 1.000 ±0.00 on 24 images of the test split" in shown
    assert "its object removed, tiled 0.000" in shown and "by guessing 0.000" in shown
    assert "18 images with an object and a background, and 24 labels of theirs" in shown
    assert "Worst label as it is: left, 12 images." in shown


def test_reader_of_the_corner(tmp_path, data):
    audit = audited(tmp_path, data, "corner_reader", "--page", str(tmp_path / "audit.html"))
    rows, scores = audit.facts["conditions"], audit.scores
    left = scores.column("original", "label") == 0
    for fill in FILLS:
        exchanged = scores.column(f"exchanged_{fill}", "correct")
        assert (exchanged[left] == 0).all() and (
            exchanged[scores.column("original", "label") == 1] == 1
        ).all()
        assert rows[f"exchanged_{fill}"]["worst_class"]["name"] == "left"
        assert rows[f"background_alone_{fill}"]["accuracy"]["mean"] == 0.5
        assert audit.facts["background_gap"][fill]["mean"] == 0.5
    assert rows["object_alone"]["accuracy"]["mean"] == 0.5
    # what lends its background to an image with right lacks right, so here it has left alone
    alone = [labels == (1,) for labels in scores.labels]
    assert scores.column("exchanged_tiled", "added")[alone].tolist() == [1] * 6
    page = (tmp_path / "audit.html").read_text()
    for words in (
        "It finds 100 of 100 labels.",
        "In front of the background of an image without the label, that falls to 50 of 100",
        "With a label's objects taken out of the image, it still finds that label in 50 of 100.",
        "not found, 0.0",
        "labels added",
        "Below each picture is whether the label above is found.",
    ):
        assert words.replace("'", "&#39;") in page or words in page, words


def test_two_are_compared(tmp_path, data, capsys):
    names = ("object_reader", "corner_reader")
    paths = [str(weights(tmp_path, name)) for name in names]
    options = ["--conditions", "exchanged", "object_alone", "--fills", "tiled"]
    for name, path in zip(names, paths, strict=True):
        assert main(["audit", path, *arguments(name, data), *options]) == 0
    audits = [AUDIT.read(tmp_path / f"{name}-evaluation") for name in names]
    (group,) = differences(audits)["groups"]
    row = group["conditions"]["exchanged_tiled"]
    assert row["accuracy"]["mean"] == -0.5 and row["accuracy"]["images"] == 18
    assert row["worst_class"]["mean"] == -1
    assert row["accuracy"]["low"] < -0.5 < row["accuracy"]["high"] < 0


def test_objects_without_classes(tmp_path, capsys):
    """The union is kept by an exchange; whose objects are whose is known for one label alone."""
    data = images(tmp_path / "data", with_classes=False)
    content = json.loads((data / "coco.json").read_text())
    del content["categories"]
    (data / "coco.json").write_text(json.dumps(content))
    found = audited(tmp_path, data, "object_reader").facts
    rows = found["conditions"]
    assert found["pairs"] == 24
    assert rows["exchanged_tiled"]["without_value"] == 0
    for name in ("object_alone", "background_alone_tiled"):
        assert rows[name]["without_value"] == 12
    shown = " ".join(capsys.readouterr().out.split())
    assert "Labels for which a change is not possible: none: its object alone (12); " in shown


def test_labels_are_needed(tmp_path, data, capsys):
    path = weights(tmp_path, "object_reader")
    own = arguments("object_reader", data)
    place = own.index("--labels")
    assert main(["audit", str(path), *own[:place], *own[place + 2 :]]) == 2
    assert main(["audit", str(path), *own[: place + 1], "none.csv", *own[place + 2 :]]) == 2
    assert "none.csv" in capsys.readouterr().err


def test_groups_stay_whole(data):
    splits = open_data(
        str(data / "photos"),
        labels=data / "labels.csv",
        groups=str(whole(data)),
        test_split="random",
        image_size=16,
    )
    kept, held = (
        {int(name.split("/")[1].removesuffix(".png")) // 8 for name in source.names}
        for source in (splits.train, splits.test)
    )
    assert kept and held and not held & kept
    assert {label for own in splits.test.labels for label in own} == {0, 1}


def whole(data):
    """Groups of eight images that follow each other, in both splits of the folder."""
    path = data / "eights.csv"
    rows = [f"{split}/{n}.png,{n // 8}" for split in ("train", "test") for n in range(24)]
    path.write_text("\n".join(["image,group", *rows]))
    return path
