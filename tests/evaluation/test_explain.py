"""Figures of what a classifier looks at."""

import numpy as np
import pytest
from PIL import Image

from helpers.processes import apart
from helpers.trained import FAST, quiet, trained
from sib.cli.main import main
from sib.config.evaluate import ExplainConfig
from sib.evaluation.explain import explain
from sib.utils.errors import InputError


@pytest.fixture
def images(tmp_path):
    paths = []
    for name, size in (("one.jpg", (60, 90)), ("$two$ <b>.jpg", (200, 40))):
        path = tmp_path / name
        pixels = np.random.default_rng(0).integers(256, size=(*size, 3))
        Image.fromarray(pixels.astype(np.uint8)).save(path)
        paths.append(path)
    return tuple(paths)


@pytest.fixture
def run():
    return trained()


@apart
def test_one_figure_an_image(tmp_path, images, run):
    console = quiet()
    config = ExplainConfig(
        run=run, images=images, out=tmp_path / "out", device="cpu", attribution=FAST
    )
    figures = explain(config, console)
    assert [figure.name for figure in figures] == ["one.png", "$two$ <b>.png"]
    for figure in figures:
        picture = Image.open(figure).convert("RGB")
        assert picture.width > 900 and len(picture.getcolors(2**24)) > 2000
    assert console.file.getvalue().count("→") == 2


def test_images_of_one_name_do_not_overwrite_each_other(tmp_path, images):
    other = tmp_path / "other" / "one.jpg"
    other.parent.mkdir()
    other.write_bytes(images[0].read_bytes())
    config = ExplainConfig(
        run=trained(), images=(images[0], other), methods=("saliency",), out=tmp_path / "out"
    )
    assert [f.name for f in explain(config, quiet())] == ["one.png", "one-2.png"]


@pytest.mark.parametrize("target", ["7", "0"])
def test_a_class_can_be_chosen(tmp_path, images, target):
    config = ExplainConfig(
        run=trained(),
        images=images[:1],
        methods=("input_x_gradient",),
        target=target,
        out=tmp_path / "out",
    )
    assert explain(config, quiet())[0].is_file()


@pytest.mark.parametrize("target", ["10", "-1", "dog"])
def test_an_unknown_class_is_refused(tmp_path, images, target):
    config = ExplainConfig(run=trained(), images=images, target=target, out=tmp_path / "out")
    with pytest.raises(InputError, match="--target must be a class number from 0 to 9"):
        explain(config, quiet())
    assert not (tmp_path / "out").exists()


def test_what_is_no_image_stops_it_before_anything_is_written(tmp_path, images, capsys):
    text = tmp_path / "notes.txt"
    text.write_text("hello")
    out = tmp_path / "out"
    code = main(["explain", str(trained()), str(images[0]), str(text), "--out", str(out)])
    assert code == 2
    assert "notes.txt cannot be read as an image" in " ".join(capsys.readouterr().err.split())
    assert not out.exists()
    assert main(["explain", str(trained()), str(tmp_path / "no.png"), "--out", str(out)]) == 2
    assert "no.png does not exist" in " ".join(capsys.readouterr().err.split())
