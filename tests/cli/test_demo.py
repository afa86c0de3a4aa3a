"""The demonstration, shortened."""

import io
import json

import pytest
from PIL import Image
from rich.console import Console

from sib.cli.demo import DemoConfig, demo
from sib.utils.errors import InputError


def test_the_demo_trains_both_methods_and_draws_them(tmp_path):
    screen = io.StringIO()
    config = DemoConfig(out=tmp_path, epochs=1, images=100, device="cpu")
    demo(config, Console(file=screen, width=100))
    text = screen.getvalue()
    for method, name in (("ce", "cross-entropy"), ("sib", "S-IB")):
        test = json.loads((tmp_path / method / "result.json").read_text())["test"]
        row = next(line for line in text.splitlines() if line.startswith(f"│ {name}"))
        assert f"{test['accuracy']:.3f}" in row and f"{test['foreground_energy']:.3f}" in row
    picture = Image.open(tmp_path / "picture.png")
    assert min(picture.size) > 500
    assert len(picture.convert("RGB").getcolors(2**24)) > 200  # more than empty axes
    report = (tmp_path / "report.html").read_text()
    assert "S-IB minus cross-entropy" in report and "data:image/jpeg" in report


def test_the_published_objective_can_be_shown(tmp_path):
    screen = io.StringIO()
    options = {"epochs": 1, "images": 60, "objective": "published", "device": "cpu"}
    demo(DemoConfig(out=tmp_path, **options), Console(file=screen, width=200))
    assert "kind: published" in (tmp_path / "sib" / "config.yaml").read_text()
    assert "S-IB ran with the published objective, --objective calibrated" in screen.getvalue()


def test_the_demo_can_be_run_again(tmp_path):
    for seed in (0, 1):
        config = DemoConfig(out=tmp_path, epochs=1, images=60, seed=seed, device="cpu")
        demo(config, Console(file=io.StringIO()))
    assert "seed: 1" in (tmp_path / "sib" / "config.yaml").read_text()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"device": "nope"}, "--device"),
        ({"images": 30}, "--images must be at least 40"),
        ({"background_strength": 3.0}, "background_strength"),
    ],
)
def test_bad_input_leaves_an_earlier_demo_alone(tmp_path, options, sentence):
    (tmp_path / "ce").mkdir()
    (tmp_path / "ce" / "result.json").write_text("{}")
    with pytest.raises(InputError, match=sentence):
        demo(DemoConfig(out=tmp_path, **options), Console(file=io.StringIO()))
    assert (tmp_path / "ce" / "result.json").exists()


def test_an_out_that_is_a_file_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be used"):
        demo(DemoConfig(out=tmp_path / "file"), Console(file=io.StringIO()))
