"""Runs with a compiled step."""

import warnings

import pytest
import torch

from helpers.runs import Silent, metrics, tiny
from sib.config.options import InputConfig, ObjectiveConfig
from sib.tasks.task import Task
from sib.training import TrainConfig, train
from sib.utils.errors import InputError


@pytest.fixture
def without_compiler(monkeypatch):
    """Trace and differentiate as Inductor does, without its C++ compiler."""
    original = Task.compile
    monkeypatch.setattr(Task, "compile", lambda task: original(task, backend="aot_eager"))
    torch._dynamo.reset()


@pytest.mark.usefixtures("without_compiler")
def test_a_compiled_run_learns_what_an_uncompiled_one_does(tmp_path):
    reporter = Silent()
    options = {
        "arch": "helpers.nets:batch_norm_net",
        "objective": ObjectiveConfig(kind="published", window_size=5),
        "input": InputConfig(train_size=40, test_size=10),
    }
    train(tiny(tmp_path / "eager", **options), Silent())
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="the S-IB step cannot be compiled")
        train(tiny(tmp_path / "compiled", compile=True, **options), reporter)
    assert any(said.startswith("compiling the step") for said in reporter.said)
    found = [metrics(tmp_path / name) for name in ("eager", "compiled")]
    for eager, compiled in zip(*found, strict=True):
        for key in ("loss", "cross_entropy"):
            assert compiled[key] == pytest.approx(eager[key], rel=1e-3), key
        # AdamW makes small steps of rounding wherever a gradient is near zero
        assert compiled["terms"] == pytest.approx(eager["terms"], rel=5e-3)
    ratios = [records[0]["gradient_ratio"] for records in found]  # of the same weights
    assert ratios[1] == pytest.approx(ratios[0], rel=1e-4)


def test_only_the_step_of_sib_is_compiled():
    with pytest.raises(
        InputError, match="--compile is for --method sib with --objective published"
    ):
        TrainConfig(data="digits", method="ce", compile=True)
