"""Whole runs on the built-in images, tiny but real."""

import json
import re
import shutil
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml
from safetensors import safe_open
from safetensors.torch import load_file

from helpers.runs import FILES, Silent, metrics, tiny
from sib.cli.main import main
from sib.config.facts import resumable
from sib.config.train import InputConfig, ObjectiveConfig, OptimizerConfig
from sib.training import Stopped, TrainConfig, TrainingFailed, train
from sib.utils.errors import InputError
from sib.utils.signals import Interrupt


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of one epoch; not to be written into."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    train(tiny(folder, epochs=1), Silent())
    return folder


@pytest.fixture
def copied(finished, tmp_path):
    """The same for a test to work in."""
    return shutil.copytree(finished, tmp_path / "run")


class Asking(Silent):
    """A reporter that raises SIGTERM once a number of batches has been handed out."""

    def __init__(self, step):
        super().__init__()
        self.step = step

    def steps(self, epoch, loader):
        for batch in super().steps(epoch, loader):
            yield batch
            # the loop asks for the next batch after the step is done
            if self.seen == self.step:
                signal.raise_signal(signal.SIGTERM)


def assert_equal_runs(one, other):
    a, b = load_file(one / "last.safetensors"), load_file(other / "last.safetensors")
    assert a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)
    timing = {"seconds", "images_per_second", "memory_bytes"}
    for x, y in zip(metrics(one), metrics(other), strict=True):
        assert {k: v for k, v in x.items() if k not in timing} == {
            k: v for k, v in y.items() if k not in timing
        }


@pytest.mark.parametrize("method", ["sib", "ce"])
def test_a_run_leaves_everything_that_a_later_stage_reads(tmp_path, method):
    result = train(tiny(tmp_path / "run", method=method), Silent())
    run = tmp_path / "run"
    assert {path.name for path in run.iterdir()} == FILES
    assert yaml.safe_load((run / "config.yaml").read_text())["method"] == method
    environment = json.loads((run / "environment.json").read_text())
    assert environment["versions"]["torch"] == torch.__version__.split("+")[0]
    lines = metrics(run)
    assert [line["epoch"] for line in lines] == [1, 2]
    assert {"loss", "cross_entropy", "accuracy", "images_per_second", "memory_bytes"} <= set(
        lines[0]
    )
    own = {
        "terms",
        "weights",
        "gradient_ratio",
        "mask_area",
        "mask_softness",
        "reconstruction_scale",
    }
    assert own & set(lines[0]) == (own if method == "sib" else set())
    assert json.loads((run / "result.json").read_text())["test"]["images"] == 20
    assert result["test"]["annotated"] > 0
    best = max(lines, key=lambda line: (line["validation"]["accuracy"], -line["epoch"]))
    assert result["validation_accuracy"] == best["validation"]["accuracy"]


def test_weights_say_what_they_are(finished):
    with safe_open(finished / "best.safetensors", framework="pt") as file:
        header = json.loads(file.metadata()["sib"])
    assert header["arch"] == "small_resnet" and header["image_size"] == 16
    assert len(header["classes"]) == 10


def test_two_runs_of_one_seed_are_equal_and_of_two_seeds_are_not(tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        train(tiny(tmp_path / name, seed=seed, epochs=1, image_size=16), Silent())
    a, b, c = (load_file(tmp_path / name / "last.safetensors") for name in "abc")
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert not torch.equal(a["head.weight"], c["head.weight"])


def in_three_epochs(out):
    objective = ObjectiveConfig(kind="published", window_size=5, projection_dim=8)
    return tiny(out, epochs=3, image_size=16, objective=objective)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that was never stopped."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    train(in_three_epochs(folder), Silent())
    return folder


@pytest.mark.parametrize("stop_after", [1, 9])
def test_a_stopped_run_ends_as_if_never_stopped(whole, tmp_path, stop_after):
    """Six steps an epoch: stopped before anything was saved, and in the middle of epoch 2."""
    stopped = in_three_epochs(tmp_path / "stopped")
    with pytest.raises(KeyboardInterrupt):
        train(stopped, Silent(stop_after))
    train(replace(stopped, resume=True), Silent())
    assert_equal_runs(whole, tmp_path / "stopped")


@pytest.mark.parametrize("step", [1, 8, 12])
def test_a_run_asked_to_stop_goes_on_from_that_very_step(whole, tmp_path, step):
    """Six steps an epoch; after step 12 the signal falls into the validation of epoch 2."""
    stopped = in_three_epochs(tmp_path / "stopped")
    with pytest.raises(Stopped, match=f"stopped after step {step}, which is saved"):
        train(stopped, Asking(step))
    reporter = Silent()
    train(replace(stopped, resume=True), reporter)
    assert reporter.seen == 18 - step
    assert_equal_runs(whole, tmp_path / "stopped")


def test_a_second_signal_stops_at_once():
    interrupt = Interrupt()
    with interrupt.listening():
        signal.raise_signal(signal.SIGINT)
        assert interrupt.number == signal.SIGINT
        with pytest.raises(Stopped, match="at once"):
            signal.raise_signal(signal.SIGINT)


def test_resume_refuses_another_configuration_and_names_the_difference(copied):
    other = tiny(
        copied,
        epochs=1,
        resume=True,
        objective=ObjectiveConfig(kind="published", background_weight=7.0),
    )
    with pytest.raises(InputError, match=r"objective\.background_weight was 1000\.0 and is 7\.0"):
        train(other, Silent())


def test_the_help_lists_what_may_change(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    screen = " ".join(capsys.readouterr().out.replace("│", " ").split())
    listed = re.search(r"These may change: ([^.]*\.cache)", screen)[1]
    names = {name.replace("-", "_") for name in listed.split(", ")}
    assert names == resumable(TrainConfig) - {"resume", "dry_run"}


def test_resume_may_go_on_for_more_epochs(copied):
    train(tiny(copied, epochs=2, resume=True), Silent())
    assert [line["epoch"] for line in metrics(copied)] == [1, 2]
    assert yaml.safe_load((copied / "config.yaml").read_text())["epochs"] == 2


def test_a_folder_with_a_run_is_never_overwritten(copied):
    before = (copied / "metrics.jsonl").read_bytes()
    with pytest.raises(InputError, match="holds a run already"):
        train(tiny(copied, epochs=1, seed=3), Silent())
    assert (copied / "metrics.jsonl").read_bytes() == before


def test_resume_without_a_run_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no run"):
        train(tiny(tmp_path / "none", resume=True), Silent())


def test_a_dry_run_measures_and_writes_nothing(tmp_path):
    reporter = Silent()
    assert train(tiny(tmp_path / "run", dry_run=True), reporter) is None
    assert not (tmp_path / "run").exists()
    ((cost, steps),) = reporter.costs
    assert steps == 2 * 6  # 90 training images, batches of 16, the last of 10
    assert cost.plain_step > 0 and cost.sib_step > 0 and cost.parameters > 1e5
    assert cost.total == pytest.approx(cost.sib_step * steps)


def test_the_test_split_is_read_once_at_the_end(tmp_path, monkeypatch):
    read = []
    from sib.training import loop, prepare

    original = loop.make_split_loader

    def watch(config, splits, split):
        read.append(split)
        return original(config, splits, split)

    for module in (prepare, loop):
        monkeypatch.setattr(module, "make_split_loader", watch)
    train(tiny(tmp_path), Silent())
    assert read == ["train", "validation", "test"]


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_what_is_saved(tmp_path):
    config = tiny(tmp_path, optimizer=OptimizerConfig(learning_rate=1e30))
    with pytest.raises(TrainingFailed, match=r"5 steps in a row.* step 6 in epoch 1 .*digits"):
        train(config, Silent())
    assert (tmp_path / "config.yaml").exists()


def test_clipping_bounds_the_gradient(tmp_path, monkeypatch):
    norms = []
    original = torch.nn.utils.clip_grad_norm_

    def watch(parameters, largest):
        parameters = list(parameters)
        original(parameters, largest)
        norms.append(torch.stack([p.grad.norm() for p in parameters]).norm().item())

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", watch)
    train(tiny(tmp_path, epochs=1, optimizer=OptimizerConfig(clip_norm=0.01)), Silent())
    assert norms and max(norms) <= 0.0101


def test_bfloat16_trains(tmp_path):
    train(tiny(tmp_path, epochs=1, precision="bfloat16"), Silent())
    assert np.isfinite(metrics(tmp_path)[0]["loss"])


def test_worker_processes_change_nothing(tmp_path):
    for name, workers in (("a", 0), ("b", 2)):
        train(tiny(tmp_path / name, epochs=1, workers=workers), Silent())
    a, b = (load_file(tmp_path / name / "last.safetensors") for name in "ab")
    assert all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"arch": "resnet81"}, "'resnet81' is unknown, perhaps resnet18"),
        ({"device": "tpu7"}, "--device must be auto, cpu"),
        ({"device": "cuda:99"}, "--device cuda:99 is not on this machine"),
        (
            {"objective": ObjectiveConfig(kind="published", window_size=64)},
            "64 pixels do not fit into 16 × 16",
        ),
        (
            {"objective": ObjectiveConfig(kind="published", window_size=5, background_weight=-1)},
            "--objective.background-weight must be at least 0; got -1",
        ),
        ({"data": "/nowhere", "input": InputConfig()}, "/nowhere does not exist"),
    ],
)
def test_bad_configurations_are_told_before_anything_is_written(tmp_path, options, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        train(tiny(tmp_path / "run", **options), Silent())
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_an_out_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        train(tiny(tmp_path / "file"), Silent())


def test_resume_refuses_other_images(copied):
    environment = json.loads((copied / "environment.json").read_text())
    environment["data"]["splits_sha256"] = "0" * 64
    (copied / "environment.json").write_text(json.dumps(environment))
    with pytest.raises(InputError, match="images are not those"):
        train(tiny(copied, epochs=2, resume=True), Silent())


def test_a_finished_run_is_not_run_again(copied):
    before = (copied / "result.json").read_bytes()
    with pytest.raises(InputError, match="has 1 finished epoch"):
        train(tiny(copied, epochs=1, resume=True), Silent())
    assert (copied / "result.json").read_bytes() == before


def test_the_cost_of_a_resumed_run_is_that_of_the_steps_left(copied):
    reporter = Silent()
    train(tiny(copied, epochs=3, resume=True), reporter)
    assert reporter.costs[0][1] == 12


def test_best_weights_are_those_of_the_best_epoch_after_a_stop_between_state_and_weights(
    whole, tmp_path, monkeypatch
):
    stopped = in_three_epochs(tmp_path / "stopped")

    def fail(self, *args):
        raise KeyboardInterrupt

    monkeypatch.setattr("sib.runs.folder.RunFolder.save_weights", fail)
    with pytest.raises(KeyboardInterrupt):
        train(stopped, Silent())
    monkeypatch.undo()
    train(replace(stopped, resume=True), Silent())
    assert_equal_runs(whole, tmp_path / "stopped")
    for name in ("best.safetensors", "result.json"):
        assert (tmp_path / "stopped" / name).read_bytes() == (whole / name).read_bytes()


def test_a_torn_last_line_of_metrics_is_dropped(copied):
    with open(copied / "metrics.jsonl", "a") as file:
        file.write('{"epoch": 2, "lo')
    train(tiny(copied, epochs=2, resume=True), Silent())
    assert [line["epoch"] for line in metrics(copied)] == [1, 2]


@pytest.mark.parametrize("name", ["state.pt", "config.yaml", "environment.json"])
@pytest.mark.parametrize("content", [b"", b"\x80\x02["])
def test_damaged_files_of_a_run_are_told(copied, name, content):
    (copied / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name} is damaged"):
        train(tiny(copied, epochs=2, resume=True), Silent())


def test_the_stored_configuration_starts_another_run(finished):
    from sib.cli.main import parse

    config = parse(["train", "--config", str(finished / "config.yaml"), "--out", "b"])
    assert not config.resume and config.arch == "small_resnet" and str(config.out) == "b"


def test_a_dry_run_beside_a_run_counts_all_its_own_steps(copied):
    reporter = Silent()
    train(tiny(copied, dry_run=True), reporter)
    assert reporter.costs[0][1] == 12
