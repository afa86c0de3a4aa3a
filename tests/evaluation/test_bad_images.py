"""``--on-bad-image skip`` of each command that reads images."""

import os

import pytest
from PIL import Image

from helpers.handmade import arguments, images, weights
from sib.cli.main import main
from sib.evaluation.images import fitting_images
from sib.evaluation.stored import AUDIT
from sib.utils.errors import InputError

COUNT = 18
"""Test images of the handmade data."""


@pytest.fixture
def broken(tmp_path):
    """Handmade data; one test image is cut off and one is a page of HTML."""
    data = images(tmp_path / "data")
    cut, page = sorted(p for p in (data / "test").rglob("*.png") if "mask" not in p.name)[:2]
    cut.write_bytes(cut.read_bytes()[:-30])
    page.write_text("<html>404</html>")
    return data, cut, page


def run(command, tmp_path, data, *options):
    name = "object_reader"
    given = arguments(name, data)
    if command in ("predict", "explain"):
        del given[given.index("--data") : given.index("--data") + 2]
        given = [str(data / "test"), *given]
    return main([command, str(weights(tmp_path, name)), *given, *options])


@pytest.mark.parametrize("command", ["audit", "evaluate", "predict", "explain"])
def test_a_bad_image_is_refused(tmp_path, broken, capsys, command):
    assert run(command, tmp_path, broken[0]) == 2
    assert "cannot be read as an image" in capsys.readouterr().err


def test_audit_leaves_them_out(tmp_path, broken):
    data, cut, page = broken
    options = ("--on-bad-image", "skip", "--conditions", "greyed")
    assert run("audit", tmp_path, data, *options) == 0
    facts = AUDIT.read(tmp_path / "object_reader-evaluation").facts
    assert facts["images"] == COUNT - 2
    assert [str(cut) in sentence for sentence in facts["skipped"]] == [True]
    assert str(page) in facts["data"]["unreadable_first"][0]


def test_predict_lists_them(tmp_path, broken, capsys):
    data, cut, page = broken
    options = ("--on-bad-image", "skip", "--table-format", "csv")
    assert run("predict", tmp_path, data, *options) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 1 + COUNT - 2
    assert str(cut) in err and str(page) in err
    assert "normalisation half" in err


@pytest.mark.parametrize("command", ["predict", "explain"])
def test_an_image_too_long_for_the_network_is_named(tmp_path, capsys, command):
    data = images(tmp_path / "data")
    for image in sorted((data / "test").rglob("*.png"))[2:]:
        image.unlink()
    long = data / "test" / "long.png"
    Image.new("L", (200_000, 1)).save(long)
    assert run(command, tmp_path, data) == 2
    assert f"{long} is 200000 × 1 pixels; resized to" in capsys.readouterr().err


def test_explain_takes_a_folder(tmp_path, broken, capsys):
    data, cut, _ = broken
    for image in (data / "test").rglob("*.png"):
        if image.parent != cut.parent:
            image.unlink()
    out = tmp_path / "figures"
    options = ("--on-bad-image", "skip", "--methods", "saliency", "--out", str(out))
    assert run("explain", tmp_path, data, *options) == 0
    kept = [p for p in cut.parent.glob("*.png") if "mask" not in p.name]
    assert len(list(out.glob("*.png"))) == len(kept) - 2


def test_show_and_make_spurious(tmp_path, broken, capsys):
    data = str(broken[0])
    skip = ("--on-bad-image", "skip")
    sheet = ["data", "show", data, "--split", "test", "--count", "200", "--out"]
    assert main([*sheet, str(tmp_path / "a.png")]) == 2
    assert main([*sheet, str(tmp_path / "a.png"), *skip]) == 0
    assert "left out" in capsys.readouterr().out
    made = ["data", "make-spurious", data, "--backgrounds", "procedural", "--out"]
    assert main([*made, str(tmp_path / "b")]) == 2
    assert main([*made, str(tmp_path / "b"), *skip]) == 0


def test_an_image_too_long_is_left_out(tmp_path, capsys):
    Image.new("L", (30_000, 1)).save(tmp_path / "long.png")
    Image.new("L", (30, 20)).save(tmp_path / "short.png")
    paths = [tmp_path / "long.png", tmp_path / "short.png"]
    assert fitting_images(paths, 224, "crop", skip_bad=True) == paths[1:]
    assert "1 image that cannot be resized" in capsys.readouterr().err
    assert fitting_images(paths, 224, "squash", skip_bad=False) == paths
    with pytest.raises(InputError, match="none of the 1 image can be used"):
        fitting_images(paths[:1], 224, "crop", skip_bad=True)


@pytest.mark.parametrize("form", ["table", "csv", "json", "markdown"])
def test_a_name_that_is_not_utf8_is_written(tmp_path, form):
    data = images(tmp_path / "data")
    image, *others = sorted(p for p in (data / "test").rglob("*.png") if "mask" not in p.name)
    for other in others:
        other.unlink()
    image.rename(os.fsdecode(os.fsencode(image.parent) + b"/gr\xfcn.png"))
    out = tmp_path / "table"
    assert run("predict", tmp_path, data, "--out", str(out), "--table-format", form) == 0
    assert "xfcn.png" in out.read_text(encoding="utf-8")
