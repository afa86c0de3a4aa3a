"""Runs that start from weights: what they record, how they resume, what they refuse."""

import json

import pytest
import torch
import yaml
from safetensors import safe_open
from safetensors.torch import load_file

from helpers.runs import same_weights, shown, stop_after
from sib.cli.main import main
from sib.config.train import InputConfig, ObjectiveConfig
from sib.utils.errors import InputError


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A run with ImageNet's statistics, to start from."""
    out = tmp_path_factory.mktemp("source") / "run"
    shown(
        out, input=InputConfig(train_size=60, test_size=20, cache="off", normalization="imagenet")
    )
    return out


def statistics_of(folder):
    state = load_file(folder / "last.safetensors")
    return {name: value for name, value in state.items() if "running" in name}


def test_a_run_from_a_run(source, tmp_path):
    text = shown(tmp_path / "a", weights=str(source))
    assert f"weights: {source}, " in text
    assert "normalisation imagenet (its header)" in text
    config = yaml.safe_load((tmp_path / "a" / "config.yaml").read_text())
    assert (config["input"]["normalization"], config["batch_norm"]) == ("imagenet", "frozen")
    start = json.loads((tmp_path / "a" / "environment.json").read_text())["start"]
    assert (start["new"], start["arch"]) == ([], "small_resnet")
    with safe_open(tmp_path / "a" / "best.safetensors", "pt") as file:
        assert json.loads(file.metadata()["sib"])["normalization"] == "imagenet"
    before, after = statistics_of(source), statistics_of(tmp_path / "a")
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not torch.equal(
        load_file(source / "last.safetensors")["stem.0.weight"],
        load_file(tmp_path / "a" / "last.safetensors")["stem.0.weight"],
    )


def test_train_moves_the_statistics_and_given_options_win(source, tmp_path):
    options = InputConfig(train_size=60, test_size=20, cache="off", normalization="0.4/0.2")
    text = shown(tmp_path / "a", weights=str(source), batch_norm="train", input=options)
    assert "normalisation 0.4/0.2 (as given)" in text
    before, after = statistics_of(source), statistics_of(tmp_path / "a")
    assert not any(torch.equal(before[name], after[name]) for name in before)


def test_random_weights_are_as_before(tmp_path):
    shown(tmp_path / "auto")
    shown(tmp_path / "given", batch_norm="train")
    config = yaml.safe_load((tmp_path / "auto" / "config.yaml").read_text())
    assert (config["input"]["normalization"], config["batch_norm"]) == ("half", "train")
    one, two = (load_file(tmp_path / name / "last.safetensors") for name in ("auto", "given"))
    assert all(torch.equal(value, two[name]) for name, value in one.items())


@pytest.mark.parametrize("method", ["ce", "sib"])
def test_resume_is_exact_with_frozen_batch_norm(source, tmp_path, method):
    options = {"weights": str(source), "method": method, "epochs": 2}
    if method == "sib":
        options["objective"] = ObjectiveConfig(stage_weight=0)
    shown(tmp_path / "whole", **options)
    stop_after(tmp_path / "parts", 5, **options, save_every_steps=2)
    shown(tmp_path / "parts", **options, resume=True)
    assert same_weights(tmp_path / "whole", tmp_path / "parts")


def test_bad_starts_end_with_code_2(source, tmp_path, capsys):
    common = ["train", "--data", "digits", "--arch", "small_resnet", "--device", "cpu"]
    common += ["--image-size", "32", "--input.train-size", "60", "--input.test-size", "20"]
    torch.save(load_file(source / "best.safetensors"), tmp_path / "w.pt")
    bad = {
        ("--weights", str(tmp_path / "none.pt")): "does not exist",
        ("--weights", str(tmp_path)): "holds no run (no config.yaml)",
        ("--weights", str(tmp_path / "w.pt")): "give --input.normalization, such as half",
        ("--weights", "pretrained"): "small_resnet has no published weights",
        ("--weights", str(source), "--arch", "resnet18"): "does not fit resnet18",
        ("--input.normalization", "1,2/3"): "--input.normalization must be half, imagenet or",
        ("--input.normalization", "0.5/0"): "with deviations above 0; got '0.5/0'; or auto",
    }
    for arguments, sentence in bad.items():
        out = tmp_path / "out"
        assert main([*common, "--out", str(out), *arguments]) == 2
        assert sentence in " ".join(capsys.readouterr().err.split())
        assert not out.exists()


def test_a_refused_start_leaves_no_folder(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        shown(tmp_path / "a", weights="none.safetensors")
    assert not (tmp_path / "a").exists()
