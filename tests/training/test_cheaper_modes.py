"""Runs that take the S-IB terms on some steps or some images only."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from helpers.runs import Silent, metrics, tiny
from sib.training import TrainConfig, train
from sib.training.progress import EpochProgress
from sib.utils.errors import InputError


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"every_n_steps": 3},
            "the S-IB terms are computed on one step in 3, and count 3 times there",
        ),
        ({"sib_fraction": 0.5}, "the S-IB terms are computed on 0.5 of each batch"),
    ],
)
def test_a_run_says_how_it_deviates(options, sentence, tmp_path):
    reporter = Silent()
    train(tiny(tmp_path, epochs=1, **options), reporter)
    assert f"deviates from the method: {sentence}" in reporter.said
    (record,) = metrics(tmp_path)
    assert all(value > 0 for value in record["terms"].values()) and record["gradient_ratio"] > 0
    assert 0 < record["reconstruction_scale"] < 10


def test_means_are_over_the_images_that_had_a_value():
    progress = EpochProgress()
    progress.add({"loss": torch.tensor(1.0), "terms.layer": torch.tensor(5.0)}, 2)
    progress.add({"loss": torch.tensor(4.0)}, 4)
    progress.seconds = 1.0
    record = progress.record()
    assert record["loss"] == pytest.approx(3) and record["terms"]["layer"] == pytest.approx(5)
    again = EpochProgress.from_state(progress.state(), torch.device("cpu"))
    assert again.record() == record


def test_resume_takes_the_terms_on_the_same_steps(tmp_path):
    options = {"epochs": 1, "every_n_steps": 2, "image_size": 16}
    train(tiny(tmp_path / "whole", **options), Silent())
    stopped = tiny(tmp_path / "stopped", **options)
    with pytest.raises(KeyboardInterrupt):
        train(replace(stopped, save_every_steps=1), Silent(stop_after=3))
    train(replace(stopped, resume=True), Silent())
    whole, resumed = (load_file(tmp_path / n / "last.safetensors") for n in ("whole", "stopped"))
    assert all(torch.equal(value, resumed[key]) for key, value in whole.items())
    ours, theirs = (
        json.loads((tmp_path / n / "result.json").read_text()) for n in ("whole", "stopped")
    )
    assert ours == theirs


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"every_n_steps": 0}, "--every-n-steps must be at least 1; got 0"),
        ({"sib_fraction": 0.0}, "--sib-fraction must be above 0 and at most 1; got 0.0"),
        ({"sib_fraction": 0.5, "micro_batch": 2}, "cannot be combined"),
        ({"every_n_steps": 2, "method": "ce"}, "--every-n-steps is for --method sib; got ce"),
    ],
)
def test_bad_options(options, sentence):
    with pytest.raises(InputError, match=sentence):
        TrainConfig(data="digits", **options)
