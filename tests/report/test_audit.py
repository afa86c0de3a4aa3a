"""The section about behaviour: its pictures and the page."""

import io
import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from helpers import handmade
from helpers.browser import CHROMIUM, run
from helpers.handmade import PLACE, arguments, images, weights
from helpers.trained import evaluated, quiet
from sib.cli.main import main
from sib.config.audit import AuditConfig
from sib.config.report import ReportConfig
from sib.data.normalization import normalise
from sib.evaluation.audit.difference import differences
from sib.evaluation.audit.measure import open_audited
from sib.evaluation.audit.words import SINGLE
from sib.evaluation.stored import AUDIT, FilePair
from sib.report.audit import write_page
from sib.report.audit_cells import MAP, titles
from sib.report.audit_differences import behaviour_differences
from sib.report.audit_losses import possible, reliance
from sib.report.audit_pictures import columns_of, rows_of
from sib.report.audit_tables import figures_table
from sib.report.audit_words import verdict
from sib.report.command import report
from sib.report.tables import wide_signed
from sib.utils.errors import InputError
from sib.utils.files import sha256_of

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")


@pytest.fixture(scope="module")
def audits(tmp_path_factory):
    """An audit of each handmade classifier, with its page."""
    folder = tmp_path_factory.mktemp("audits")
    data = images(folder / "data", own=10, other=5)
    for name in ("object_reader", "background_reader"):
        path = weights(folder, name)
        page = ["--page", str(folder / f"{name}.html")]
        assert main(["audit", str(path), *arguments(name, data), *page]) == 0
    return folder


def found(audits, name):
    return AUDIT.read(audits / f"{name}-evaluation")


def test_the_verdicts_are_those_of_the_classifiers(audits):
    first = verdict(found(audits, "object_reader"))
    assert (first.level, first.headline) == ("object", "It decides by the object.")
    assert "It names the right class for 100 of 100 images." in first.sentences
    assert any("that stays at 100 of 100, and 0 of 100" in text for text in first.sentences)
    assert any("background alone" in text and "67 of 100" in text for text in first.sentences)
    assert "Nothing has to change because of the background." in first.advice
    second = verdict(found(audits, "background_reader"))
    assert second.level == "background"
    assert any("that falls to" in text for text in second.sentences)
    assert any("blue, other background: 0 of 100 of its 5" in text for text in second.sentences)
    assert any("Collect training images for blue, other background" in t for t in second.advice)


@pytest.mark.parametrize("name", ["object_reader", "background_reader"])
def test_the_pictures_are_what_the_classifier_decided_about(audits, name):
    """The classifier sees the pictures again, and names what the audit has recorded."""
    audit = found(audits, name)
    audit.scores.column("exchanged_tiled", "predicted")[3] = np.nan  # shows another filling
    path = audits / f"{name}.safetensors"
    config = AuditConfig(
        runs=(path,),
        arch=f"helpers.handmade:{name}",
        image_size=32,
        normalization="half",
        data=str(audits / "data"),
        device="cpu",
    )
    checkpoint, splits = open_audited(config, path)
    columns = [*config.condition_names]
    columns = ["original", *(c for c in columns if not c.startswith("same_class"))]
    kept = []

    def keep(pixels):
        kept.append(torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1))
        return "data:"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sib.report.audit_cells.jpeg_uri", keep)
        places = list(range(0, 18, 3))
        rows = rows_of(audit, checkpoint, splits.test, places, columns, torch.device("cpu"))
    model = getattr(handmade, name)(3)
    model.load_state_dict(load_file(path))
    logits = model(normalise(torch.stack(kept), torch.device("cpu"), "half"))
    decided = iter(logits.argmax(dim=1).tolist())
    top, second = logits.topk(2, dim=1).values.unbind(dim=1)
    sure = iter((top - second > 0.5).tolist())  # rounded colours may tip a tie
    for row, place in zip(rows, places, strict=True):
        for column, cell in zip(columns, row.cells, strict=True):
            expected = audit.scores.predicted[place]
            if column != "original":
                shown = possible(audit.scores, place, column)
                assert (shown == column) == ((column, place) != ("exchanged_tiled", 3))
                expected = audit.scores.column(shown, "predicted")[place]
            now, clear = next(decided), next(sure)
            assert now == expected or not clear, (column, place)
            assert cell.said.startswith(audit.facts["classes"][int(expected)])
            moved = expected != audit.scores.predicted[place]
            assert cell.changed == (moved and not column.startswith("background_alone"))


def test_the_images_that_rely_on_the_background_come_first(audits):
    scores = found(audits, "background_reader").scores
    fall = reliance(scores)
    changed = scores.column("exchanged_tiled", "changed")
    assert (fall[changed == 1] < -1).all() and np.abs(fall[changed == 0]).max() < 1e-3
    kinds = ("original", MAP, "exchanged", "noised")
    assert columns_of(scores, kinds) == ["original", MAP, "exchanged_tiled", "noised"]


def test_a_filling_that_failed_falls_back_to_another(audits):
    scores = found(audits, "background_reader").scores
    values = scores.values.copy()
    values[4, scores.columns.index(("exchanged_tiled", "predicted"))] = np.nan
    scores = replace(scores, values=values)
    assert possible(scores, 3, "exchanged_tiled") == "exchanged_tiled"
    assert possible(scores, 4, "exchanged_tiled") == "exchanged_diffusion"
    assert possible(scores, 4, "blurred") == "blurred"


def test_pictures_and_tables_use_the_same_words(audits):
    facts = found(audits, "object_reader").facts
    names = [
        name.partition(" (")[0] for name in (row["name"] for row in figures_table(facts)["rows"])
    ]
    assert names == titles(list(facts["conditions"]), SINGLE)


def test_the_page_holds_all_and_nothing_from_outside(audits):
    text = (audits / "background_reader.html").read_text()
    assert "It decides mostly by the background." in text
    titles = (
        "What it looks at",
        "What happens when the background changes",
        "Where it relies on the background most",
        "What to do",
        "The figures",
    )
    places = [text.index(f"<h3>{title}</h3>") for title in titles]
    assert places == sorted(places)  # pictures first
    assert "the object in front of a background of another class" in text
    sources = re.findall(r'(?:src|href)="([^"]*)"', text)
    assert sources and all(s.startswith(("data:image/jpeg", "#")) for s in sources)
    assert text.count("<script") == 1 and PLACE.start > 0
    other = (audits / "object_reader.html").read_text()
    assert "There are none: with the changed backgrounds" in other
    assert "exchanged" not in re.sub(r'src="[^"]*"', "", text)


@needs_chromium
def test_a_browser_shows_the_page(audits, tmp_path):
    shown = run(audits / "background_reader.html", tmp_path)
    assert shown.count("<img") == 6 * 2 + 6 * 6 + 10 * 4


def test_names_cannot_write_into_the_page(audits, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(audits / "object_reader-evaluation", folder)
    content = json.loads((folder / "audit.json").read_text())
    content["name"] = "<img src=x onerror=alert(1)>"
    content["conditions"]["original"]["worst_group"]["name"] = "{{ 7*7 }}<b>"
    (folder / "audit.json").write_text(json.dumps(content))

    def opened(audit):
        raise InputError("the data are gone")

    write_page(tmp_path / "page.html", [AUDIT.read(folder)], opened, "cpu", quiet())
    text = (tmp_path / "page.html").read_text()
    assert "<img src=x" not in text and "&lt;img src=x" in text and "{{ 7*7 }}&lt;b&gt;" in text
    assert "There are no pictures here: the data are gone" in text


def test_a_report_about_audited_runs_has_the_section(tmp_path):
    folder = tmp_path / "ce-0"
    shutil.copytree(evaluated("ce", 0), folder)
    options = ["--conditions", "exchanged", "blurred", "--fills", "tiled", "--device", "cpu"]
    assert main(["audit", str(folder), *options]) == 0
    out = tmp_path / "report.html"
    report(ReportConfig(runs=(folder,), out=out, images=2, device="cpu"), quiet())
    text = out.read_text()
    assert '<section id="audit-0">' in text and 'href="#audit-0"' in text
    assert "ce-0: object or background?" in text


def test_a_report_compares_the_behaviour_of_audited_runs(tmp_path, monkeypatch):
    folders = []
    for method in ("ce", "sib"):
        folders.append(tmp_path / f"{method}-0")
        shutil.copytree(evaluated(method, 0), folders[-1])
        options = ["--conditions", "blurred", "background_alone", "--fills", "tiled"]
        assert main(["audit", str(folders[-1]), *options, "--device", "cpu"]) == 0
    out = tmp_path / "report.html"
    report(ReportConfig(runs=tuple(folders), out=out, images=2, device="cpu"), quiet())
    text = out.read_text()
    assert 'href="#behaviour"' in text
    section = text[text.index('<section id="behaviour">') : text.index('<section id="audit-0">')]
    assert "S-IB minus cross-entropy" in section and "paired over 20 images" in section
    audits = [AUDIT.read(folder) for folder in folders]
    conditions = differences(audits)["groups"][0]["conditions"]
    for row in conditions.values():
        assert wide_signed(row["accuracy"]["mean"]) in section

    shutil.copytree(evaluated("ce", 1), tmp_path / "ce-1")
    options = {"out": out, "images": 2, "gallery_runs": 2, "device": "cpu"}
    console = Console(file=io.StringIO(), width=1000)
    report(ReportConfig(runs=(*folders, tmp_path / "ce-1"), **options), console)
    assert "compared for the first runs alone, since" in console.file.getvalue()
    assert "ce-1 was not audited" in console.file.getvalue()
    assert "S-IB minus cross-entropy" in out.read_text()

    changed = {"weights_sha256": sha256_of(tmp_path / "ce-1" / audits[0].facts["weights"])}
    AUDIT.save(tmp_path / "ce-1", audits[0].scores, audits[0].facts | changed)
    read, real = [], FilePair.read
    monkeypatch.setattr(FilePair, "read", lambda self, path: read.append(path) or real(self, path))
    report(ReportConfig(runs=(*folders, tmp_path / "ce-1"), **options), quiet())
    assert sorted(read) == sorted(2 * [*folders, tmp_path / "ce-1"])  # each evaluation and audit


def test_with_the_background_alone_the_opposite_is_better(audits):
    """The reader of the background, compared with the reader of the object."""
    runs = [found(audits, name) for name in ("object_reader", "background_reader")]
    shown = behaviour_differences(runs, quiet())["tables"][0]
    rows = {row["name"]: row["cells"] for row in shown["rows"]}
    accuracy, changed = (
        shown["head"].index(name) - 1 for name in ("accuracy", "decisions changed")
    )
    alone, exchanged = rows["background alone (tiled)"], rows["background of another class (tiled)"]
    assert alone[changed]["mean"].startswith("−") and alone[changed]["kind"] == "bad"
    assert exchanged[accuracy]["mean"].startswith("−") and exchanged[accuracy]["kind"] == "bad"
    assert exchanged[changed]["mean"].startswith("+") and exchanged[changed]["kind"] == "bad"


def test_bad_input(audits, tmp_path, capsys):
    path = audits / "object_reader.safetensors"
    options = [*arguments("object_reader", audits / "data"), "--page", str(tmp_path)]
    assert main(["audit", str(path), *options]) == 2
    assert "is a folder; give the name of a file" in " ".join(capsys.readouterr().err.split())


def test_the_overview_of_several_audits_has_a_heading(audits):
    runs = [found(audits, name) for name in ("object_reader", "background_reader")]

    def opened(audit):
        raise InputError("the data are gone")

    write_page(audits / "both.html", runs, opened, "cpu", quiet())
    text = (audits / "both.html").read_text()
    section = text.index('<section id="audits">\n<h2>Object or background?</h2>')
    assert section < text.index('aria-label="Verdicts"') < text.index('<section id="audit-0">')
