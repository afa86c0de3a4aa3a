"""Comparing runs on the same images."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from PIL import Image

from helpers.trained import FAST, evaluated, quiet, trained
from sib.cli.main import main
from sib.config.evaluate import EvaluateConfig
from sib.config.report import CompareConfig
from sib.evaluation.compare import compare, explanation
from sib.evaluation.evaluate import evaluate
from sib.evaluation.groups import group_by_seed
from sib.evaluation.points import points
from sib.evaluation.scores import read_scores
from sib.evaluation.stored import read_stored
from sib.evaluation.tables import comparison_table
from sib.figures.scatter import scatter_figure
from sib.utils.errors import InputError

SEEDS = (0, 1)


def all_runs():
    return tuple(evaluated(method, seed) for method in ("ce", "sib") for seed in SEEDS)


def test_groups_by_seed_and_their_differences(tmp_path):
    console = quiet()
    found = compare(CompareConfig(runs=all_runs(), out=tmp_path), console)
    assert found["reference"]["name"] == "cross-entropy"
    (group,) = found["groups"]
    assert (group["name"], group["seeds"], group["paired_seeds"]) == ("S-IB", [0, 1], True)
    scores = {
        (method, seed): read_scores(evaluated(method, seed) / "evaluation.csv")
        for method in ("ce", "sib")
        for seed in SEEDS
    }
    column = ("vjp", "energy_pointing_game")
    by_seed = [
        np.nanmean(scores["sib", seed].column(*column) - scores["ce", seed].column(*column))
        for seed in SEEDS
    ]
    entry = group["table"]["vjp"]["energy_pointing_game"]
    assert entry["by_seed"] == pytest.approx(by_seed)
    assert entry["mean"] == pytest.approx(np.mean(by_seed))
    assert entry["low"] <= entry["mean"] <= entry["high"]
    assert json.loads((tmp_path / "comparison.json").read_text()) == found
    assert min(Image.open(tmp_path / "scatter.png").size) > 300
    text = console.file.getvalue()
    assert "S-IB minus cross-entropy" in text and "Seeds are drawn too" in text


def test_points_of_the_scatter_have_intervals_and_the_even_map():
    stored = [read_stored(folder) for folder in all_runs()]
    found = points(stored)
    assert [point["name"] for point in found] == ["ce-0", "ce-1", "sib-0", "sib-1"]
    for point, item in zip(found, stored, strict=True):
        assert point["even"] == item.facts["foreground_share"]
        accuracy = item.facts["accuracy"]
        assert point["accuracy_interval"] == (accuracy["low"], accuracy["high"])
        low, high = point["localisation_interval"]
        assert low < point["localisation"] < high
    axis = scatter_figure(found).axes[0]
    crossed = [line.get_ydata()[0] for line in axis.lines if line.get_linestyle() == ":"]
    assert crossed == pytest.approx([found[0]["even"]])
    assert axis.get_ylim()[0] < found[0]["even"] < axis.get_ylim()[1]


def test_runs_that_differ_in_harmless_options_alone_are_one_group(tmp_path):
    """They were trained on another machine, from another folder, with another number of workers."""
    one, other, third = evaluated("ce", 0), tmp_path / "other", tmp_path / "third"
    for folder in (other, third):
        shutil.copytree(one, folder)
    change(other, seed=1, root="/elsewhere", workers=7, device="cuda", save_every_steps=3)
    change(third, seed=2, input={"cache": "off"}, objective={"slope": 3.0})
    (group,) = group_by_seed([read_stored(folder) for folder in (one, other, third)])
    assert (group.seeds, group.name) == ([0, 1, 2], "cross-entropy")
    change(third, epochs=2)
    groups = group_by_seed([read_stored(folder) for folder in (one, other, third)])
    assert [group.seeds for group in groups] == [[0, 1], [2]]


def change(folder, **options):
    """Change options in the file of a run."""
    file = folder / "config.yaml"
    config = yaml.safe_load(file.read_text())
    for name, value in options.items():
        config[name] = config[name] | value if isinstance(value, dict) else value
    file.write_text(yaml.safe_dump(config))


def test_one_seed_says_what_its_interval_leaves_out(tmp_path):
    console = quiet()
    compare(CompareConfig(runs=(evaluated("ce"), evaluated("sib")), out=tmp_path), console)
    assert "nothing about other seeds" in " ".join(console.file.getvalue().split())


def test_a_run_without_evaluation_is_evaluated(tmp_path):
    run = tmp_path / "ce-0"
    shutil.copytree(trained("ce", 0), run)
    for name in ("evaluation.json", "evaluation.csv"):
        (run / name).unlink(missing_ok=True)
    other = tmp_path / "sib-0"
    shutil.copytree(trained("sib", 0), other)
    evaluate(EvaluateConfig(run=other, device="cpu", methods=("saliency", "gradcam")), quiet())
    found = compare(CompareConfig(runs=(run, other), out=tmp_path / "c", device="cpu"), quiet())
    assert list(found["groups"][0]["table"]) == ["saliency", "gradcam"]  # what both have
    assert (run / "evaluation.json").is_file()


def test_metrics_that_a_run_lacks_are_named(tmp_path):
    with pytest.raises(InputError, match="was evaluated without insertion_area: run sib evaluate"):
        compare(CompareConfig(runs=all_runs(), metrics=("insertion_area",), out=tmp_path), quiet())


def refused(runs, tmp_path, capsys):
    code = main(["compare", *map(str, runs), "--out", str(tmp_path / "c")])
    assert code == 2
    assert not (tmp_path / "c").exists()
    return " ".join(capsys.readouterr().err.split())


def test_different_test_images_are_refused(tmp_path, capsys):
    other = trained("sib", 0, split_seed=1)
    evaluate(EvaluateConfig(run=other, device="cpu", attribution=FAST), quiet())
    said = refused([evaluated("ce"), other], tmp_path, capsys)
    assert "only the same images can be compared" in said


def test_another_number_of_images_is_refused(tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(trained("sib", 0), run)
    evaluate(EvaluateConfig(run=run, device="cpu", attribution=FAST, limit=5), quiet())
    said = refused([evaluated("ce"), run], tmp_path, capsys)
    assert "(20 images)" in said and "(5 images) were evaluated on different images" in said


def test_other_options_are_refused(tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(trained("sib", 0), run)
    evaluate(EvaluateConfig(run=run, device="cpu", attribution=FAST, target="label"), quiet())
    said = refused([evaluated("ce"), run], tmp_path, capsys)
    assert "target is 'predicted' and 'label'" in said


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda run: (run / "evaluation.json").write_text("{"), "is damaged and cannot be read"),
        (lambda run: (run / "evaluation.json").write_text('{"format": 99}'), "has format 99"),
        (lambda run: (run / "evaluation.csv").write_text("image\n"), "is not the file that"),
        (lambda run: (run / "config.yaml").write_text("[1]"), "is damaged: it holds no options"),
        (lambda run: (run / "metrics.jsonl").write_text("{\n"), "is damaged and cannot be read"),
    ],
)
def test_damaged_files_are_named(tmp_path, capsys, damage, sentence):
    run = tmp_path / "run"
    shutil.copytree(evaluated("sib"), run)
    damage(run)
    assert sentence in refused([evaluated("ce"), run], tmp_path, capsys)


def test_one_run_and_one_run_twice_are_refused(tmp_path, capsys):
    assert "at least two runs" in refused([evaluated()], tmp_path, capsys)
    assert "is given twice" in refused([evaluated(), evaluated()], tmp_path, capsys)


def test_a_file_of_weights_is_compared_by_the_folder_of_its_evaluation(tmp_path, capsys):
    path = shutil.copy(evaluated() / "best.safetensors", tmp_path / "w.safetensors")
    folder = tmp_path / "w-evaluation"
    assert main(["compare", str(path), str(evaluated("sib"))]) == 2
    said = f"run sib evaluate {path} --data DATA, then give {folder}"
    assert said in " ".join(capsys.readouterr().err.split())
    folder.mkdir()
    for name in ("evaluation.json", "evaluation.csv"):
        shutil.copy(evaluated() / name, folder)
    assert main(["report", str(path)]) == 2
    assert f"is a file: give {folder}" in " ".join(capsys.readouterr().err.split())


def test_without_a_foreground_measures_that_need_one_are_left_out():
    entry = {"mean": 0.25, "low": 0.1, "high": 0.4, "p": 0.01, "images": 9}
    unknown = dict.fromkeys(entry)
    group = {
        "name": "S-IB",
        "runs": ["a"],
        "accuracy": entry,
        "table": {"vjp": {"energy_pointing_game": unknown, "sparseness": entry}},
    }
    table = comparison_table(group, "cross-entropy")
    assert [column.header for column in table.columns] == ["method", "sparse ↑"]
    found = {"reference": {"runs": ["b"]}, "groups": [group], "resamples": 100, "images": 9}
    assert "Without a foreground, only measures that need none are shown." in explanation(found)


def test_seeds_alone_are_nothing_to_compare(tmp_path, capsys):
    said = refused([evaluated("ce", 0), evaluated("ce", 1)], tmp_path, capsys)
    assert "differ only in their seed" in said


@pytest.mark.parametrize(
    ("places", "names"),
    [
        (["a/cnn/run", "a/vit/run"], ["cnn/run", "vit/run"]),
        (["a/cnn/run", "b/cnn/run"], ["cnn/run (1)", "cnn/run (2)"]),
        (["a/cnn", "a/vit"], ["cnn", "vit"]),
    ],
)
def test_folders_of_one_name_are_told_apart(places, names):
    stored = [SimpleNamespace(name=Path(p).name, folder=Path(p), run=None) for p in places]
    assert [group.name for group in group_by_seed(stored)] == names
