"""What torchrun's environment says, and what a restarted run may go on with."""

import json

import pytest
import torch
from safetensors.torch import load_file

from helpers import runs
from helpers.runs import Silent, metrics
from sib.distributed.restart import launch
from sib.training import train
from sib.utils.errors import InputError


def tiny(out, **options):
    return runs.tiny(out, image_size=16, method="ce", **options)


@pytest.fixture
def torchrun(monkeypatch):
    def set_environment(restarts, name="a1b2"):
        monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", str(restarts))
        monkeypatch.setenv("TORCHELASTIC_RUN_ID", name)

    return set_environment


def interrupted(folder):
    """A run that was lost in its second epoch."""
    with pytest.raises(KeyboardInterrupt):
        train(tiny(folder), Silent(stop_after=8))
    assert len(metrics(folder)) == 1


def test_a_restarted_run_goes_on_by_itself(tmp_path, torchrun):
    train(tiny(tmp_path / "whole"), Silent())
    torchrun(0)
    interrupted(tmp_path / "run")
    torchrun(1)
    reporter = Silent()
    train(tiny(tmp_path / "run"), reporter)
    assert reporter.seen == 6  # the second epoch alone
    a, b = (load_file(tmp_path / name / "last.safetensors") for name in ("whole", "run"))
    assert all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize("before", [None, "other"])
def test_a_restarted_run_leaves_the_run_of_another_launch_alone(tmp_path, torchrun, before):
    if before is not None:
        torchrun(0, before)
    interrupted(tmp_path)
    torchrun(1)
    with pytest.raises(InputError, match="holds a run already"):
        train(tiny(tmp_path), Silent())
    assert len(metrics(tmp_path)) == 1


def test_without_an_id_a_launch_is_known_by_the_process_that_started_it(torchrun):
    torchrun(0, "none")
    name = launch()
    assert name.startswith("none-") and launch() == name
    torchrun(0, "mine")
    assert launch() == "mine"


def test_without_torchrun_a_launch_has_no_name(monkeypatch):
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    assert launch() == ""


def test_resume_refuses_another_number_of_processes(tmp_path):
    interrupted(tmp_path)
    environment = json.loads((tmp_path / "environment.json").read_text())
    (tmp_path / "environment.json").write_text(json.dumps(environment | {"processes": 8}))
    with pytest.raises(
        InputError, match="was started with 8 processes and must continue with as many; got 1"
    ):
        train(tiny(tmp_path, resume=True), Silent())


def test_steps_are_saved_inside_an_epoch(tmp_path):
    config = tiny(tmp_path / "run", save_every_steps=4)
    with pytest.raises(KeyboardInterrupt):
        train(config, Silent(stop_after=5))
    state = torch.load(tmp_path / "run" / "state.pt", weights_only=True)
    assert (state["epoch"], state["step"]) == (0, 4)
    reporter = Silent()
    train(tiny(tmp_path / "run", resume=True), reporter)  # and the interval may change
    assert reporter.seen == 12 - 4
    train(tiny(tmp_path / "whole"), Silent())
    a, b = (load_file(tmp_path / name / "last.safetensors") for name in ("whole", "run"))
    assert all(torch.equal(a[key], b[key]) for key in a)
