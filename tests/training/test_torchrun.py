"""Runs of two processes: forked ones, and under a real torchrun."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file
from torch.distributed import run

import sib
from helpers.processes import Forked, command_in_two
from helpers.runs import FILES
from helpers.runs import metrics as all_metrics

ENTRY = Path(__file__).parents[1] / "helpers" / "entry.py"
TINY = ["train", "--data", "digits", "--arch", "small_resnet", "--device", "cpu", "--workers", "0"]
TINY += ["--epochs", "2", "--batch-size", "8", "--image-size", "24", "--save-every-steps", "4"]
TINY += [
    "--objective",
    "published",
    "--objective.window-size",
    "7",
    "--objective.projection-dim",
    "8",
]
TINY += ["--input.train-size", "100", "--input.test-size", "41"]  # 6 steps of 2 × 8 images


def torchrun(out, *options, accident="", restarts=0):
    """The launcher in a process forked from this one; it starts two new interpreters."""
    command = ["--standalone", "--nproc-per-node", "2", "--max-restarts", str(restarts)]
    command += [str(ENTRY), *TINY, "--out", str(out), *options]
    source = str(Path(sib.__file__).parents[1])

    def launch():
        os.environ.update(ENTRY=accident, OMP_NUM_THREADS="1", PYTHONPATH=source)
        run.main(command)
        return 0

    said = [out.parent / f"{out.name}-{number}.txt" for number in (1, 2)]
    code = Forked(launch, *said).wait(200)
    return SimpleNamespace(returncode=code, stdout=said[0].read_text(), stderr=said[1].read_text())


def metrics(run):
    timing = {"seconds", "images_per_second", "memory_bytes"}
    return [{k: v for k, v in line.items() if k not in timing} for line in all_metrics(run)]


def assert_equal_runs(one, other):
    a, b = load_file(one / "last.safetensors"), load_file(other / "last.safetensors")
    assert a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)
    assert metrics(one) == metrics(other)
    assert (one / "result.json").read_bytes() == (other / "result.json").read_bytes()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "run"
    done = torchrun(out)
    assert done.returncode == 0, done.stderr
    return out, " ".join(done.stdout.split())


@pytest.fixture(scope="module")
def forked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("forked")
    return folder / "run", command_in_two([*TINY, "--out", str(folder / "run")], folder)


@pytest.mark.parametrize("name", ["forked", pytest.param("undisturbed", marks=pytest.mark.torture)])
def test_two_processes_leave_one_run_and_one_voice(name, request):
    out, said = request.getfixturevalue(name)
    assert {path.name for path in out.iterdir()} == FILES
    assert "2 processes × 8 = 16 images a step; 12 steps" in said
    assert said.count("images to train") == said.count("epoch 2/2") == 1
    assert json.loads((out / "result.json").read_text())["test"]["images"] == 41
    assert [line["step"] for line in metrics(out)] == [6, 12]
    assert json.loads((out / "environment.json").read_text())["processes"] == 2


@pytest.mark.torture
def test_a_run_that_loses_a_process_and_is_stopped_ends_with_the_same_bits(undisturbed, tmp_path):
    """Process 1 dies after step 5, all go on from step 4; SIGTERM to torchrun comes in step 8."""
    stopped = torchrun(tmp_path, accident="lost_then_told_to_stop", restarts=1)
    assert stopped.returncode != 0
    assert stopped.stderr.count("stopped after step 8, which is saved") == 1
    assert stopped.stdout.count("12 steps, about") == stopped.stdout.count("8 steps, about") == 1
    assert not (tmp_path / "result.json").exists()
    done = torchrun(tmp_path, "--resume")
    assert done.returncode == 0, done.stderr
    assert_equal_runs(undisturbed[0], tmp_path)
