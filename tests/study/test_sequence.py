"""Several commands in one process: the first failure ends it, and results are as in two."""

import json
import os
import sys
from pathlib import Path

import pytest

from helpers.processes import Forked, fork_the_pool
from helpers.studies import planned
from sib.cli import sequence
from sib.cli.sequence import main
from sib.study.commands import job, next_command
from sib.study.joined import one_after_another, split
from sib.study.pool import Pool
from sib.utils.signals import StoppedAtOnce


def test_commands_are_joined_and_split_again():
    commands = [["train", "--data", "x"], ["evaluate", "a"], ["evaluate", "b"]]
    assert split(list(one_after_another(commands))) == commands
    assert split(["recipes"]) == [["recipes"]]


def test_the_first_failure_ends_the_sequence_with_its_code(monkeypatch, capsys):
    done = []
    monkeypatch.setattr(
        sequence, "run_command", lambda c: done.append((c, sys.argv)) or (c == ["b"])
    )
    monkeypatch.setattr(sys, "argv", [])
    assert main(["a", "--then", "b", "--then", "c"]) == 1
    assert done == [(["a"], ["sib", "a"]), (["b"], ["sib", "b"])]
    assert capsys.readouterr().out == "$ sib b\n"
    assert main(["a", "--then", "c", "1"]) == 0


def test_a_signal_between_two_commands_ends_with_its_code(monkeypatch):
    def stop(command):
        raise StoppedAtOnce(15, "stopped")

    monkeypatch.setattr(sequence, "run_command", stop)
    monkeypatch.setattr(sys, "argv", [])
    assert main(["a"]) == 143


@pytest.mark.parametrize("interpreter", ["forked", pytest.param("new", marks=pytest.mark.torture)])
def test_an_evaluation_in_the_trainings_process_gives_the_figures_of_one_of_its_own(
    tmp_path, monkeypatch, interpreter
):
    if interpreter == "forked":
        fork_the_pool(monkeypatch)
    source = str(Path(sys.modules["sib"].__file__).parents[1])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([source, str(Path(__file__).parents[1])]))
    _, (run, *_) = planned(tmp_path, settings={"sib": {"method": "sib"}}, seeds=[0])
    together = next_command(run, ("test",))
    assert together[0] == "train" and together.count("--then") == 1
    training = job(run, ("test",))
    run.log.parent.mkdir(parents=True)
    Pool([{"OMP_NUM_THREADS": "1"}], lambda *told: None).work([training])
    assert training.failure is None
    assert f"\n$ sib evaluate {run.folder} " in run.log.read_text()
    assert next_command(run, ("test",)) is None
    scores = (run.folder / "evaluation.csv").read_bytes()
    found = json.loads((run.folder / "evaluation.json").read_text())
    assert found["command"][:3] == ["sib", "evaluate", str(run.folder)]
    alone = split(together)[1]
    assert Forked(lambda: main(alone)).wait() == 0
    again = json.loads((run.folder / "evaluation.json").read_text())
    assert (run.folder / "evaluation.csv").read_bytes() == scores
    assert {**found, "seconds": 0} == {**again, "seconds": 0}
