"""The page about runs: its pieces and its safety."""

import base64
import csv
import hashlib
import html
import json
import re
import shutil
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from helpers.trained import FAST, evaluated, quiet
from sib.cli.console import ConsoleReporter
from sib.config.evaluate import EvaluateConfig
from sib.config.report import ReportConfig
from sib.config.train import ObjectiveConfig
from sib.evaluation.evaluate import evaluate
from sib.figures.curves import curves, term_curves
from sib.report import gallery
from sib.report.command import report
from sib.report.page import warnings
from sib.report.render import _breakable
from sib.training import TrainConfig, train
from sib.utils.errors import InputError
from sib.utils.terminal import Terminal

CLASSES = ("<img src=http:x onerror=alert(1)>", "a & b \"quoted\" 'single' {{ 7*7 }}")
SECTIONS = ("summary", "comparison", "training", "gallery", "differ", "worst", "repeat")


def test_figures_for_programs(tmp_path, capsys):
    runs = tuple(evaluated(method, 0) for method in ("ce", "sib"))
    config = ReportConfig(runs=runs, out=tmp_path / "r.html", images=1, methods=("vjp",))
    report(config, Terminal(table_format="csv", only_tables=True))
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert {row["run"] for row in rows if not row["minus"]} == {run.name for run in runs}
    assert {(row["run"], row["minus"]) for row in rows if row["minus"]} == {
        ("S-IB", "cross-entropy")
    }
    energy = next(row for row in rows if row["measure"] == "energy_pointing_game")
    stored = json.loads((runs[0] / "evaluation.json").read_text())
    assert (
        float(energy["mean"]) == stored["table"][energy["method"]]["energy_pointing_game"]["mean"]
    )


class Elements(HTMLParser):
    """Tags with their attributes."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def all(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


def test_the_page_holds_its_pieces_and_nothing_from_outside(page):
    elements = Elements(page.read_text())
    identities = {attributes["id"] for attributes in elements.all("section")}
    assert set(SECTIONS) <= identities
    targets = {attributes["href"] for attributes in elements.all("a")}
    assert targets == {f"#{identity}" for identity in identities}
    assert len(elements.all("script")) == 1 and not elements.all("script")[0]
    assert not elements.all("link") and not elements.all("iframe")
    images = elements.all("img")
    assert len(images) > 3 * (1 + 4 * 3)
    for attributes in images:
        assert attributes["src"].startswith("data:image/")
        assert attributes["alt"]
    for attributes in elements.all("source"):
        assert attributes["srcset"].startswith("data:image/svg+xml;base64,")
    for attributes in elements.all("pre"):  # what scrolls can be reached by keyboard
        assert attributes["tabindex"] == "0"
    policy = next(a["content"] for a in elements.all("meta") if "http-equiv" in a)
    assert policy.startswith("default-src 'none'")
    script = re.search(r"<script>(.*?)</script>", page.read_text(), re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.endswith(f"script-src 'sha256-{digest}'")


def test_galleries_of_few_runs_take_the_first_of_each_group(tmp_path):
    runs = tuple(evaluated(method, seed) for method in ("ce", "sib") for seed in (0, 1))
    out = tmp_path / "report.html"
    report(
        ReportConfig(runs=runs, out=out, images=1, gallery_runs=2, methods=("vjp",), device="cpu"),
        quiet(),
    )
    gallery = re.search(r'<section[^>]*id="gallery".*?</section>', out.read_text(), re.DOTALL)[0]
    shown = set(re.findall('data-run="([^"]*)"', gallery))
    assert shown == {"cross-entropy", "S-IB"}  # without a seed, since each has but one here
    assert [name in gallery for name in ("ce-0", "ce-1", "sib-0", "sib-1")] == [1, 0, 1, 0]
    summary = re.search(r'<section[^>]*id="summary".*?</section>', out.read_text(), re.DOTALL)[0]
    assert all(name in summary for name in ("ce-0", "ce-1", "sib-0", "sib-1"))


def test_figures_are_those_of_the_evaluations(page):
    text = page.read_text()
    for method, title in (("ce", "cross-entropy"), ("sib", "S-IB")):
        for seed in (0, 1):
            facts = json.loads((evaluated(method, seed) / "evaluation.json").read_text())
            assert f">{facts['accuracy']['mean']:.3f}<" in text
            assert f">{facts['table']['vjp']['energy_pointing_game']['mean']:.3f}<" in text
            folder = evaluated(method, seed)
            assert f"sib train --config {folder}/config.yaml --out NEW" in text
            assert html.escape(f"seed: {seed}") in text
            assert f'data-run="{title}, seed {seed}"' in text
    assert "S-IB minus cross-entropy" in text


def test_pictures_come_before_tables_and_the_answer_before_both(page):
    text = page.read_text()
    places = [
        text.index(part)
        for part in ('class="verdict"', 'class="strip"', 'id="summary"', 'id="training"')
    ]
    assert places == sorted(places)
    assert len(re.findall('class="lane"', text)) == 1 + 2 * 3  # the first run of each group


def test_no_accuracy_stands_in_a_column_of_energies(page):
    text = page.read_text()
    comparison = re.search('<section id="comparison">.*?</section>', text, re.DOTALL)[0]
    for table in re.findall("<table>.*?</table>", comparison, re.DOTALL):
        assert ("accuracy" in table) != ("energy" in table)


def test_a_run_that_has_not_ended_says_so(tmp_path):
    folder = tmp_path / "ce-0"
    shutil.copytree(evaluated(), folder)
    (folder / "result.json").unlink()
    config = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(re.sub("(?m)^epochs: .*$", "epochs: 8", config))
    out = tmp_path / "r.html"
    report(ReportConfig(runs=(folder,), out=out, images=1, methods=("vjp",)), quiet())
    assert "1 of 8, unfinished" in out.read_text()


def test_level_curves_are_not_drawn():
    epochs = [
        {"epoch": n, "cross_entropy": 1.0 / n, "mask_area": 0.2, "terms": {"image": n, "layer": 1}}
        for n in (1, 2)
    ]
    runs = [{"name": "a", "group": "b", "epochs": epochs}]
    assert [picture.alt.split(" over")[0] for picture in curves(runs)] == [
        "cross-entropy on the training images"
    ]
    assert [picture.alt.split(" over")[0] for picture in term_curves(runs)] == ["term image"]
    assert curves([{"name": "a", "group": "b", "epochs": epochs[:1]}]) == []


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A run whose class and file names try to be HTML."""
    root = tmp_path_factory.mktemp("hostile")
    for split, count in (("train", 6), ("test", 3)):
        for label, name in enumerate(CLASSES):
            folder = root / "data" / split / name
            folder.mkdir(parents=True)
            for index in range(count):
                shade = np.random.default_rng(index).integers(256, size=(32, 32, 3)) // (label + 1)
                file = folder / f'"><b onmouseover=alert(2)>{index}.png'
                Image.fromarray(shade.astype(np.uint8)).save(file)
    config = TrainConfig(
        data=str(root / "data"),
        out=root / "<i>run</i>".replace("/", "-"),
        arch="small_resnet",
        image_size=32,
        epochs=1,
        batch_size=4,
        workers=0,
        device="cpu",
        objective=ObjectiveConfig(kind="published", window_size=7),
    )
    train(config, ConsoleReporter(quiet()))
    evaluate(EvaluateConfig(run=config.folder, device="cpu", attribution=FAST), quiet())
    return config.folder


def test_names_with_html_in_them_are_text(hostile, tmp_path):
    report(ReportConfig(runs=(hostile,), out=tmp_path / "r.html", device="cpu"), quiet())
    text = (tmp_path / "r.html").read_text()
    elements = Elements(text)
    assert not elements.all("b") and not elements.all("i") and len(elements.all("script")) == 1
    for _, attributes in elements.found:
        assert not any(name.startswith("on") for name in attributes)
    for attributes in elements.all("img"):
        assert attributes["src"].startswith("data:")
    assert html.escape(CLASSES[0]) in text
    assert "{{ 7*7 }}" in html.unescape(text)
    # no foreground anywhere: the page says nothing about energy that it does not know
    assert 'id="differ"' not in text and 'id="worst"' not in text


def test_a_single_run_has_no_comparison(tmp_path):
    report(ReportConfig(runs=(evaluated(),), out=tmp_path / "r.html", images=1), quiet())
    text = (tmp_path / "r.html").read_text()
    assert 'id="comparison"' not in text and 'id="gallery"' in text


def test_a_report_without_its_images_says_so(tmp_path, hostile):
    run_folder = tmp_path / "moved"
    shutil.copytree(hostile, run_folder)
    config = (run_folder / "config.yaml").read_text()
    (run_folder / "config.yaml").write_text(re.sub("(?m)^data: .*$", "data: /gone", config))
    console = quiet()
    report(ReportConfig(runs=(run_folder,), out=tmp_path / "r.html"), console)
    assert "/gone does not exist" in console.file.getvalue()
    assert (
        "There are no images here: the images of moved are gone: /gone does not exist"
        in (tmp_path / "r.html").read_text()
    )


def test_a_page_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"--out .* cannot be written"):
        report(ReportConfig(runs=(evaluated(),), out=tmp_path / "file" / "r.html"), quiet())
    with pytest.raises(InputError, match="holds no run"):
        report(ReportConfig(runs=(tmp_path,), out=tmp_path / "r.html"), quiet())


def test_what_a_run_warned_about_is_told_with_its_last_sentence():
    epochs = [{"warnings": ["early."]}, {}, {"warnings": ["inert.", "collapsed."]}]
    runs = [
        SimpleNamespace(name="a", run=SimpleNamespace(epochs=epochs)),
        SimpleNamespace(name="b", run=SimpleNamespace(epochs=[{}])),
        SimpleNamespace(name="weights alone", run=None),
    ]
    said = "in 2 of 3 epochs. The last time: inert. collapsed."
    assert warnings(runs) == [("a", said)]


def test_each_image_is_drawn_once_however_many_sections_show_it(tmp_path, monkeypatch):
    drawn = []

    def count(places, *rest):
        drawn.extend(places)
        return draw_rows(places, *rest)

    draw_rows = gallery.draw_rows
    monkeypatch.setattr(gallery, "draw_rows", count)
    out = tmp_path / "r.html"
    config = ReportConfig(runs=(evaluated(),), out=out, images=20, methods=("vjp",), device="cpu")
    report(config, quiet())
    assert sorted(drawn) == list(range(20))  # every image of the split
    assert 'id="gallery"' in out.read_text() and 'id="worst"' in out.read_text()


def test_long_names_are_broken_after_their_parts():
    assert _breakable("american_bulldog_1.jpg") == "american_<wbr>bulldog_<wbr>1.jpg"
    assert _breakable("timm/net<b>") == "timm/<wbr>net&lt;b&gt;"
