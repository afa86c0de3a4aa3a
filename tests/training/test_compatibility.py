"""A run folder of format 1, as an earlier sib wrote it, must be read for ever.

It was made, with tests/helpers in PYTHONPATH, by

    sib train --data digits --arch nets:group_norm_net --image-size 16 --batch-size 16 --epochs 2
        --input.train-size 40 --input.test-size 20 --objective.window-size 5 --device cpu
        --workers 0 --save-every-steps 1 --out run-format-1
    sib evaluate run-format-1 --device cpu

and must not be made again: a change that it does not survive needs code that reads both.
"""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from safetensors.torch import load_file

from sib.cli.config_files import expand_config
from sib.cli.main import main
from sib.config.stored import as_dict
from sib.config.train import ObjectiveConfig, TrainConfig
from sib.config.yaml_options import from_arguments

FIXTURE = Path(__file__).parents[1] / "fixtures" / "run-format-1"


def read(path):
    return json.loads(path.read_text())


@pytest.fixture
def run(tmp_path, stored_names):
    return Path(shutil.copytree(FIXTURE, tmp_path / "run"))


def resume(run, *options):
    # the fixture is older than the calibrated objective, and than its being the default
    options = ("--objective", "published", *options)
    return main(
        ["train", "--config", str(run / "config.yaml"), "--out", str(run), "--resume", *options]
    )


def test_it_goes_on_with_more_epochs(run):
    assert resume(run, "--epochs", "4") == 0
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    before = (FIXTURE / "metrics.jsonl").read_text().splitlines()
    assert records[:2] == [json.loads(line) for line in before]
    assert [record["epoch"] for record in records] == [1, 2, 3, 4]


def test_it_goes_on_inside_its_last_epoch_to_the_same_end(run):
    (run / "state.pt").unlink()
    for name in ("last.safetensors", "best.safetensors", "result.json"):
        (run / name).unlink()
    assert resume(run) == 0
    for name in ("last.safetensors", "best.safetensors"):
        found, before = load_file(run / name), load_file(FIXTURE / name)
        assert found.keys() == before.keys()
        for key, value in before.items():
            assert found[key].numpy() == pytest.approx(value.numpy(), abs=1e-4), (name, key)
    accuracy = read(FIXTURE / "result.json")["test"]["accuracy"]
    assert read(run / "result.json")["test"]["accuracy"] == accuracy


def test_its_weights_are_evaluated(run):
    for name in ("evaluation.json", "evaluation.csv"):
        (run / name).unlink()
    assert main(["evaluate", str(run), "--device", "cpu", "--methods", "vjp", "--trust-code"]) == 0
    found, before = read(run / "evaluation.json"), read(FIXTURE / "evaluation.json")
    assert found["accuracy"] == before["accuracy"]
    for metric, entry in before["table"]["vjp"].items():
        mean = found["table"]["vjp"][metric]["mean"]
        assert mean == pytest.approx(entry["mean"], abs=1e-3, nan_ok=True), metric


def test_its_evaluation_is_compared_and_reported(run, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(run, other)
    config = other / "config.yaml"
    config.write_text(config.read_text().replace("method: sib", "method: ce"))
    before = (run / "evaluation.json").read_bytes()
    assert main(["compare", str(run), str(other), "--out", str(tmp_path / "both")]) == 0
    assert (
        main(
            ["report", str(run), str(other), "--out", str(tmp_path / "report.html"), "--trust-code"]
        )
        == 0
    )
    assert (run / "evaluation.json").read_bytes() == before
    assert "nets:group_norm_net" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize("kind", ["published", "calibrated"])
def test_the_file_of_a_run_from_before_balanced_weights_starts_the_same_run(kind, tmp_path):
    run = as_dict(TrainConfig(data="digits", objective=ObjectiveConfig(kind=kind)))
    del run["objective"]["balance"]
    run["objective"] |= {"image_weight": 0.6, "layer_weight": 2.0, "stage_weight": 2.0}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(run))
    arguments = expand_config(TrainConfig, ["--config", str(tmp_path / "config.yaml")])
    objective = from_arguments(TrainConfig, arguments, "").objective
    if kind == "published":
        assert objective == ObjectiveConfig(kind=kind)
    else:
        weights = (objective.image_weight, objective.layer_weight, objective.stage_weight)
        assert weights == (0.6, 2.0, 2.0) and not objective.balance


def test_a_file_of_some_weights_is_balanced_as_the_default_is(tmp_path):
    (tmp_path / "own.yaml").write_text("data: digits\nobjective:\n  image_weight: 0.2\n")
    arguments = expand_config(TrainConfig, ["--config", str(tmp_path / "own.yaml")])
    objective = from_arguments(TrainConfig, arguments, "").objective
    assert objective.balance and objective.image_weight == 0.2
