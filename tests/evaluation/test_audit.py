"""``sib audit`` on classifiers that read the object's colour alone, or the background's alone."""

import json
import math
import shutil
import typing

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.handmade import SIDE, arguments, images, mask, picture, weights
from helpers.pictures import save
from helpers.trained import evaluated, quiet, trained
from sib.cli.main import main
from sib.config import audit as config
from sib.config.audit import AuditConfig
from sib.config.report import CompareConfig
from sib.evaluation.audit.command import audit_and_show
from sib.evaluation.audit.difference import worst_difference
from sib.evaluation.audit.measure import open_audited
from sib.evaluation.compare import compare
from sib.evaluation.stored import AUDIT
from sib.metrics.behaviour import CONDITIONS, FILLS
from sib.objectives.calibrated import CalibratedSpatialIB
from sib.utils.errors import InputError

LOG_ODDS = 20 - math.log(2)
"""Of a reader that sees the colour of a class: logits 10, −10, −10."""


@pytest.fixture
def data(tmp_path):
    return images(tmp_path / "data")


def audited(tmp_path, data, name, *options):
    path = weights(tmp_path, name)
    assert main(["audit", str(path), *arguments(name, data), *options]) == 0
    return AUDIT.read(tmp_path / f"{name}-evaluation")


def test_reader_of_the_object(tmp_path, data, capsys):
    found = audited(tmp_path, data, "object_reader").facts
    assert (found["images"], found["scored"]) == (18, 18)
    assert found["accuracy"]["mean"] == 1
    for name, row in found["conditions"].items():
        assert row["images"] == 18 and row["without_value"] == 0
        if name.startswith("background_alone"):  # the background's colour is in the object's place
            assert row["accuracy"]["mean"] == pytest.approx(12 / 18), name
            assert row["changed"]["mean"] == pytest.approx(6 / 18), name
            assert row["worst_group"]["mean"] == 0
        else:
            assert row["accuracy"] == {"mean": 1, "low": 1, "high": 1}, name
        if name != "original" and not name.startswith("background_alone"):
            assert row["changed"]["mean"] == 0
            assert row["log_odds_change"]["mean"] == pytest.approx(0, abs=1e-5)
    assert found["chance"] == pytest.approx(1 / 3) == found["majority"]
    assert {gap["mean"] for gap in found["background_gap"].values()} == {0.0}
    shown = " ".join(capsys.readouterr().out.split())
    assert "chance 0.333" in shown and "no object, tiled 0.667" in shown


def test_reader_of_the_background(tmp_path, data):
    audit = audited(tmp_path, data, "background_reader")
    found, scores = audit.facts, audit.scores
    rows = found["conditions"]
    assert rows["original"]["accuracy"]["mean"] == pytest.approx(12 / 18)
    assert rows["original"]["worst_group"]["mean"] == 0
    assert rows["original"]["worst_group"]["name"] == "blue, other background"
    assert rows["original"]["worst_group"]["images"] == 2
    assert rows["original"]["worst_group"]["low"] is None  # two images have no interval
    backgrounds = np.array(scores.predicted)
    donors = scores.column("original", "donor").astype(int)
    for fill in FILLS:
        row = rows[f"exchanged_{fill}"]
        now = scores.column(f"exchanged_{fill}", "predicted")
        assert (now == backgrounds[donors]).all()
        assert row["accuracy"]["mean"] == pytest.approx((now == scores.labels).mean())
        assert row["changed"]["mean"] == pytest.approx((now != backgrounds).mean())
        lost = np.where(now == backgrounds, 0, -10 - np.logaddexp(10, -10) - LOG_ODDS)
        assert row["log_odds_change"]["mean"] == pytest.approx(lost.mean(), abs=1e-4)
        alone = rows[f"background_alone_{fill}"]
        assert alone["accuracy"]["mean"] == pytest.approx(12 / 18) and alone["changed"]["mean"] == 0
    # without any colour to read, all logits are equal and the first class is named
    for name in ("greyed", "object_alone"):
        assert rows[name]["accuracy"]["mean"] == pytest.approx(1 / 3)
        assert rows[name]["worst_class"]["mean"] == 0
    assert rows["blurred"]["changed"]["mean"] == 0


def test_intervals_are_paired_between_runs(tmp_path, data, capsys):
    """The reader of the background against itself, and two runs of one configuration."""
    runs = [str(trained(seed=seed)) for seed in (0, 1)]
    assert {row["minus"] for row in rows_of(runs, capsys)} == {""}
    rows = rows_of([str(trained("sib")), str(trained())], capsys)
    means = {
        (row["run"], row["minus"], row["condition"]): row["mean"]
        for row in rows
        if row["figure"] == "accuracy" and row["condition"]
    }
    for name in ("original", "exchanged_tiled", "blurred"):
        expected = means["ce-0", "", name] - means["sib-0", "", name]
        found = means["cross-entropy", "S-IB", name]
        assert found == pytest.approx(expected), name


def rows_of(runs, capsys):
    options = ["--conditions", "blurred", "exchanged", "--fills", "tiled"]
    assert main(["audit", *runs, "--device", "cpu", "--table-format", "json", *options]) == 0
    return json.loads(capsys.readouterr().out)


def test_limit_and_conditions(tmp_path, data, capsys):
    options = ["--conditions", "blurred", "exchanged", "--fills", "tiled", "--limit", "6"]
    found = audited(tmp_path, data, "object_reader", *options, "--table-format", "csv").facts
    assert list(found["conditions"]) == ["original", "exchanged_tiled", "blurred"]
    assert found["images"] == 6 and found["accuracy"]["low"] is None
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "run,minus,condition,figure,mean,low,high"
    assert "object_reader,,exchanged_tiled,accuracy,1.0,," in lines


def test_images_that_cannot_be_audited_are_counted(tmp_path, data):
    name = "object_reader"
    save(data / "test" / "red" / "all.png", picture("red", "red"))
    save(data / "test" / "red" / "all_mask.png", np.full((SIDE, SIDE), 255, np.uint8))
    save(data / "test" / "red" / "none.png", picture("red", "red"))
    box = mask()
    box[:, PLACE_OF_TILED] = 255  # leaves no strip beside its box
    save(data / "test" / "red" / "tall.png", picture("red", "red"))
    box[0, :] = box[-1, :] = 255
    save(data / "test" / "red" / "tall_mask.png", box)
    found = audited(tmp_path, data, name).facts
    assert found["images"] == 21 and found["scored"] == 19
    assert found["left_out"] == {"without_foreground": 1, "all_foreground": 1}
    assert found["conditions"]["background_alone_tiled"]["without_value"] == 1
    assert found["conditions"]["background_alone_diffusion"]["without_value"] == 0


PLACE_OF_TILED = slice(0, 4)


def test_files_belong_together(tmp_path, data):
    folder = audited(tmp_path, data, "object_reader").folder
    table = folder / "audit.csv"
    table.write_text(table.read_text().replace("test/blue/0.png", "test/blue/9.png"))
    with pytest.raises(InputError, match=r"is not the file that audit\.json beside it belongs to"):
        AUDIT.read(folder)
    facts = json.loads((folder / "audit.json").read_text())
    (folder / "audit.json").write_text(json.dumps(facts | {"format": 2}))
    with pytest.raises(InputError, match="has format 2, and this sib reads 1"):
        AUDIT.read(folder)


def refused(tmp_path, data, capsys, *options, code=2):
    path = weights(tmp_path, "object_reader")
    assert main(["audit", str(path), *arguments("object_reader", data), *options]) == code
    return " ".join(capsys.readouterr().err.split())


def test_bad_input(tmp_path, data, capsys):
    assert "--fills has a duplicate" in refused(tmp_path, data, capsys, "--fills", "tiled", "tiled")
    assert "--donors must be at least 2" in refused(tmp_path, data, capsys, "--donors", "1")
    assert "--noise must be above 0" in refused(tmp_path, data, capsys, "--noise", "0")
    groups = tmp_path / "groups.csv"
    groups.write_text("image,name\n")
    said = refused(tmp_path, data, capsys, "--groups", str(groups))
    assert "needs the columns image and group" in said
    groups.write_text("image,group\nelsewhere.png,a\n")
    said = refused(tmp_path, data, capsys, "--groups", str(groups))
    assert "gives no group to 36 of 36 images" in said
    first = "test/blue/0.png"
    groups.write_text(f"image,group\n{first},a\n{first},b\n")
    said = refused(tmp_path, data, capsys, "--groups", str(groups))
    assert f"line 3: {first} is in the group a already" in said
    assert not (tmp_path / "object_reader-evaluation").exists()


def test_no_foreground_and_one_class(tmp_path, capsys):
    bare = images(tmp_path / "bare")
    for path in bare.rglob("*_mask.png"):
        path.unlink()
    said = refused(tmp_path, bare, capsys)
    assert "the test images of bare have no foreground, which an audit needs" in said
    one = images(tmp_path / "one", with_groups=False)
    for name in ("blue", "green"):  # their images stay, without a foreground
        for path in (one / "test" / name).glob("*_mask.png"):
            path.unlink()
    said = refused(tmp_path, one, capsys)
    assert "images of at least two have a foreground; all 6 are of class" in said
    path = weights(tmp_path, "object_reader")
    options = ["--conditions", "blurred", "background_alone"]
    assert main(["audit", str(path), *arguments("object_reader", one), *options]) == 0


def test_names_of_the_options_are_those_of_the_conditions():
    assert typing.get_args(config.Fill) == config.FILLS == FILLS
    assert typing.get_args(config.Kind) == config.KINDS
    assert AuditConfig(runs=(trained(),)).condition_names == list(CONDITIONS)


def test_one_run_may_have_its_own_folder(tmp_path):
    (found,) = audit_and_show(
        AuditConfig(runs=(trained(),), out=tmp_path, device="cpu", conditions=("blurred",)), quiet()
    )
    assert AUDIT.read(tmp_path).facts == json.loads(json.dumps(found.facts))
    with pytest.raises(InputError, match="--out is for a single run; got 2"):
        AuditConfig(runs=(trained(), trained(seed=1)), out=tmp_path)


@given(st.integers(0, 2**32 - 1))
def test_difference_of_the_worst_part_by_hand(seed):
    """The mean against a loop over runs and parts; the interval holds it where nothing varies."""
    generator = np.random.default_rng(seed)
    first, second = generator.integers(0, 2, (2, 3, 12)).astype(float)
    parts = np.arange(12.0) % 3
    second[0, 4] = np.nan
    parts[7] = -1
    kept = [index for index in range(12) if index not in (4, 7)]

    def worst(run):
        groups = [[run[i] for i in kept if parts[i] == part] for part in (0, 1, 2)]
        return min(sum(group) / len(group) for group in groups)

    expected = sum(map(worst, second)) / 3 - sum(map(worst, first)) / 3
    found = worst_difference(first, second, parts, paired_seeds=True, resamples=20)
    assert found["mean"] == pytest.approx(expected) and found["images"] == 10
    same = worst_difference(first, first, parts, paired_seeds=True, resamples=20)
    assert same["mean"] == same["low"] == same["high"] == 0


def audited_run(folder, method, seed=0):
    run = folder / f"{method}-{seed}"
    shutil.copytree(evaluated(method, seed), run)
    assert main(["audit", str(run), "--device", "cpu", "--conditions", "blurred"]) == 0
    return run


def test_compare_shows_behaviour_where_all_runs_were_audited(tmp_path):
    first, second = audited_run(tmp_path, "ce"), audited_run(tmp_path, "sib")

    def compared(*runs):
        console = quiet()
        found = compare(CompareConfig(runs=runs, out=tmp_path / "out"), console)
        return found.get("behaviour"), " ".join(console.file.getvalue().split())

    behaviour, _ = compared(first, second)
    (group,) = behaviour["groups"]
    means = [
        json.loads((run / "audit.json").read_text())["conditions"]["blurred"]["accuracy"]["mean"]
        for run in (first, second)
    ]
    assert group["conditions"]["blurred"]["accuracy"]["mean"] == pytest.approx(means[1] - means[0])
    behaviour, said = compared(first, evaluated("sib"))
    assert behaviour is None and "was not audited: run sib audit" in said
    behaviour, said = compared(evaluated(), evaluated("sib"))
    assert behaviour is None and "behaviour is left out" not in said
    options = ["--conditions", "blurred", "--seed", "5"]
    assert main(["audit", str(second), "--device", "cpu", *options]) == 0
    behaviour, said = compared(first, second)
    assert behaviour is None and "seed is 0 and 5" in said
    shutil.copy(first / "best.safetensors", second / "best.safetensors")
    behaviour, said = compared(first, second)
    assert behaviour is None and "sib-0 has other weights now: run sib audit" in said


def test_options_about_a_file_of_weights_leave_the_runs_alone(tmp_path):
    runs = (tmp_path / "w.safetensors", trained())
    shutil.copy(trained() / "best.safetensors", runs[0])
    of_files = {"arch": "resnet18", "normalization": "imagenet", "classes": tmp_path / "no.txt"}
    checkpoint, _ = open_audited(AuditConfig(runs=runs, device="cpu", **of_files), runs[1])
    assert (checkpoint.arch, checkpoint.normalization) == ("small_resnet", "half")
    with pytest.raises(InputError, match="does not fit resnet18"):
        open_audited(AuditConfig(runs=runs, device="cpu", **of_files), runs[0])


def test_without_annotation_the_start_network_finds_foregrounds(tmp_path, capsys):
    bare = images(tmp_path / "bare", with_groups=False)
    for path in bare.rglob("*_mask.png"):
        path.unlink()
    out = tmp_path / "run"
    start = ["--arch", "small_resnet", "--weights", str(trained()), "--image-size", str(SIDE)]
    place = ["--out", str(out), "--epochs", "1", "--device", "cpu", "--workers", "0"]
    assert main(["train", "--data", str(bare), "--method", "ce", *start, *place]) == 0
    page = ["--page", str(tmp_path / "page.html")]
    options = ["--conditions", "exchanged", "object_alone", "--fills", "diffusion"]
    assert main(["audit", str(out), "--device", "cpu", *options, *page]) == 0
    audit = AUDIT.read(out)
    assert audit.facts["foreground"] == "found" and audit.facts["scored"] == 18
    assert np.allclose(audit.scores.foreground_share, CalibratedSpatialIB().area, atol=0.01)
    sentence = "No image is annotated: foregrounds were found"
    assert sentence in " ".join(capsys.readouterr().out.split())
    text = (tmp_path / "page.html").read_text()
    assert sentence in text and "There are no pictures" not in text
