"""The demonstration, shortened."""

import io
import json

import pytest
from PIL import Image
from rich.console import Console

from sib.cli.demo import DemoConfig, demo
from sib.utils.errors import InputError


def shown(out, **options):
    """What the demonstration prints."""
    screen = io.StringIO()
    config = DemoConfig(out=out, epochs=1, images=40, device="cpu", **options)
    demo(config, Console(file=screen, width=200))
    return screen.getvalue()


@pytest.fixture(scope="module")
def folder_and_screens(tmp_path_factory):
    """The published objective, then the other one with another seed in the same folder."""
    out = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sib.cli.demo._report", lambda *arguments: None)  # the second writes it
        first = shown(out, objective="published")
    kept = (out / "sib" / "config.yaml").read_text()
    return out, first, kept, shown(out, seed=1)


def test_the_demo_trains_both_methods_and_draws_them(folder_and_screens):
    folder, _, _, text = folder_and_screens
    for method, name in (("ce", "cross-entropy"), ("sib", "S-IB")):
        test = json.loads((folder / method / "result.json").read_text())["test"]
        row = next(line for line in text.splitlines() if line.startswith(f"│ {name}"))
        assert f"{test['accuracy']:.3f}" in row and f"{test['foreground_energy']:.3f}" in row
    picture = Image.open(folder / "picture.png")
    assert min(picture.size) > 500
    assert len(picture.convert("RGB").getcolors(2**24)) > 200  # more than empty axes
    report = (folder / "report.html").read_text()
    assert "S-IB minus cross-entropy" in report and "data:image/jpeg" in report


def test_the_published_objective_can_be_shown(folder_and_screens):
    _, text, config, _ = folder_and_screens
    assert "kind: published" in config
    assert "S-IB ran with the published objective, --objective calibrated" in text


def test_the_demo_can_be_run_again(folder_and_screens):
    folder, _, before, _ = folder_and_screens
    assert "seed: 0" in before
    assert "seed: 1" in (folder / "sib" / "config.yaml").read_text()


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
