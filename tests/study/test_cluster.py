"""A study's commands as jobs of submitit, with its executor for this machine."""

import signal
import sys
import threading
import time

import pytest

from sib.config.study import SlurmConfig, StudyConfig
from sib.study.cluster import ClusterPool, _parameters
from sib.study.pool import Job
from sib.utils.errors import InputError
from sib.utils.signals import Stopped

LOCAL = SlurmConfig(cluster="local")
PYTHON = (sys.executable, "-c")


def job(tmp_path, name, *programs):
    left = list(programs)
    return Job(name, tmp_path / f"{name}.log", lambda: [left.pop(0)] if left else None)


def pool(tmp_path, count=2):
    return ClusterPool(LOCAL, tmp_path / "cluster", count, lambda *told: None, PYTHON)


def test_jobs_run_and_a_failure_is_one_of_the_run(tmp_path):
    good = job(tmp_path, "good", "print('first')")
    bad = job(tmp_path, "bad", "raise SystemExit('sib: the disk is full')")
    pool(tmp_path).work([good, bad])
    assert good.failure is None and bad.failure.startswith("bad: the disk is full")
    assert good.log.read_text().splitlines() == ["$ sib print('first')", "first"]


SAVING = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (print('saved', flush=True), sys.exit(143)))
print('begun', flush=True)
time.sleep(120)
"""


def test_a_signal_lets_jobs_save(tmp_path):
    running = job(tmp_path, "running", SAVING)

    def interrupt():
        deadline = time.monotonic() + 100
        while time.monotonic() < deadline:
            if running.log.exists() and "begun\n" in running.log.read_text():
                break
            time.sleep(0.05)
        signal.raise_signal(signal.SIGTERM)

    threading.Thread(target=interrupt).start()
    with pytest.raises(Stopped):
        pool(tmp_path).work([running])
    assert running.log.read_text().splitlines()[-2:] == ["begun", "saved"]


def test_options_are_given_on_by_their_names_and_only_where_given():
    assert _parameters(SlurmConfig()) == {"name": "sib", "timeout_min": SlurmConfig().time}
    given = SlurmConfig(partition="gpu", time=90, gpus=1, cpus=8, memory=32, account="a")
    assert _parameters(given) == {
        "name": "sib",
        "slurm_partition": "gpu",
        "slurm_account": "a",
        "timeout_min": 90,
        "gpus_per_node": 1,
        "cpus_per_task": 8,
        "mem_gb": 32,
    }


def test_without_submitit_a_sentence_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(InputError, match=r'needs submitit, .*pip install "sib\[cluster\]"'):
        pool(tmp_path)


def test_without_slurm_a_sentence_says_where_to_run(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="run sib study where sbatch is, or try it here with"):
        ClusterPool(SlurmConfig(), tmp_path, 1, lambda *told: None)


def test_options_of_a_cluster_need_its_launcher(tmp_path):
    with pytest.raises(InputError, match=r"--slurm\.gpus is for --launcher submitit"):
        StudyConfig(tmp_path, slurm=SlurmConfig(gpus=1))
    with pytest.raises(InputError, match=r"--slurm\.time must be at least 1; got 0"):
        StudyConfig(tmp_path, launcher="submitit", slurm=SlurmConfig(time=0))
