"""Processes of a study, with small programs in the place of sib."""

import os
import signal
import sys
import threading
import time

import pytest

from sib.study import pool
from sib.study.pool import Job, Pool, places
from sib.utils.signals import Stopped

PYTHON = (sys.executable, "-c")


def job(tmp_path, name, *programs):
    """A job of several programs, each of which runs once."""
    left = list(programs)
    return Job(name, tmp_path / f"{name}.log", lambda: [left.pop(0)] if left else None)


def quiet(in_work, ended):
    pass


def test_programs_of_a_job_follow_one_another_and_the_log_holds_both(tmp_path):
    done = job(tmp_path, "a", "print('first')", "print('second')")
    Pool([{}], quiet, PYTHON).work([done])
    assert done.failure is None
    lines = done.log.read_text().splitlines()
    assert lines == ["$ sib print('first')", "first", "$ sib print('second')", "second"]


def test_no_more_at_a_time_than_places(tmp_path):
    seen = []
    jobs = [job(tmp_path, name, "import time; time.sleep(0.2)") for name in "abcde"]
    Pool([{}, {}], lambda names, ended: seen.append(names), PYTHON).work(jobs)
    assert max(len(names) for names in seen) == 2
    assert {name for names in seen for name in names} == set("abcde")


def test_each_process_gets_the_environment_of_its_place(tmp_path):
    program = "import os; print(os.environ['PLACE'])"
    jobs = [job(tmp_path, name, program) for name in "ab"]
    Pool([{"PLACE": "here"}], quiet, PYTHON).work(jobs)
    assert all(each.log.read_text().endswith("here\n") for each in jobs)


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("print('x'); raise SystemExit('sib: the disk is full')", "the disk is full"),
        ("raise KeyError('lost')", "KeyError: 'lost'"),
        ("raise SystemExit(3)", "ended with code 3"),
        ("import os; os.kill(os.getpid(), 9)", "ended by signal 9"),
        ("import os; print('a', flush=True); os.kill(os.getpid(), 9)", "ended by signal 9, after "),
    ],
)
def test_a_failure_is_told_and_the_others_go_on(tmp_path, program, reason):
    bad, good = job(tmp_path, "bad", program, "print('never')"), job(tmp_path, "good", "pass")
    Pool([{}], quiet, PYTHON).work([bad, good])
    assert bad.failure.startswith(f"bad: {reason}") and str(bad.log) in bad.failure
    assert "never\n" not in bad.log.read_text().replace("print('never')", "")
    assert good.failure is None and good.log.exists()


def test_a_program_that_ends_well_and_leaves_nothing_is_not_run_for_ever(tmp_path):
    idle = Job("idle", tmp_path / "idle.log", lambda: ["pass"])
    Pool([{}], quiet, PYTHON).work([idle])
    assert idle.failure == "idle: sib pass succeeded but left no result"


def test_a_log_that_cannot_be_written_is_a_failure(tmp_path):
    lost = Job("lost", tmp_path / "none" / "lost.log", lambda: ["pass"])
    Pool([{}], quiet, PYTHON).work([lost])
    assert lost.failure.startswith("lost: cannot be started (")


SAVING = """
import signal, sys, time
from pathlib import Path
def save(number, frame):
    Path({place!r}).write_text("saved")
    sys.exit(143)
signal.signal(signal.SIGTERM, save)
Path({ready!r}).write_text("")
time.sleep(60)
"""


def when(path, act):
    """A thread that acts as soon as a file is there."""

    def wait():
        while not path.exists():
            time.sleep(0.01)
        act()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_every_process_save_and_starts_no_other(tmp_path, number):
    saved, ready = tmp_path / "saved", tmp_path / "ready"
    first = job(tmp_path, "first", SAVING.format(place=str(saved), ready=str(ready)), "pass")
    second = job(tmp_path, "second", "pass")
    thread = when(ready, lambda: os.kill(os.getpid(), number))
    with pytest.raises(Stopped) as stop:
        Pool([{}], quiet, PYTHON).work([first, second])
    thread.join()
    assert stop.value.number == number
    assert saved.read_text() == "saved"
    assert first.failure is None and not second.log.exists()


def test_an_error_of_our_own_leaves_no_process(tmp_path):
    ready = tmp_path / "ready"
    program = SAVING.format(place=str(tmp_path / "saved"), ready=str(ready))
    pooled = Pool([{}], quiet, PYTHON)
    started = job(tmp_path, "first", program)
    broken = RuntimeError("no terminal")

    class Slots(list):
        def __iter__(self):
            if ready.exists() and self[0].process is not None and not seen:
                seen.append(self[0].process)
                raise broken
            return super().__iter__()

    seen = []
    pooled.slots = Slots(pooled.slots)
    with pytest.raises(RuntimeError, match="no terminal"):
        pooled.work([started])
    assert seen[0].poll() == -signal.SIGKILL


def test_threads_are_shared_out_and_what_the_user_says_stays(monkeypatch):
    monkeypatch.setattr(pool, "available_cores", lambda: 8)
    monkeypatch.setattr(pool, "available_gpus", lambda: [])
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert places(None, "auto") == [{"OMP_NUM_THREADS": "1"}] * 8
    assert places(3, "auto") == [{"OMP_NUM_THREADS": "2"}] * 3
    assert places(20, "cpu") == [{"OMP_NUM_THREADS": "1"}] * 20
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    assert places(2, "cpu") == [{"OMP_NUM_THREADS": "4"}] * 2


def test_gpus_are_given_in_turn(monkeypatch):
    monkeypatch.setattr(pool, "available_cores", lambda: 8)
    monkeypatch.setattr(pool.torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert [place["CUDA_VISIBLE_DEVICES"] for place in places(None, "auto")] == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5, GPU-7")
    found = [place["CUDA_VISIBLE_DEVICES"] for place in places(3, "cuda")]
    assert found == ["5", "GPU-7", "5"]
    assert all("CUDA_VISIBLE_DEVICES" not in place for place in places(2, "cpu"))


def test_several_processes_share_one_gpu_and_divide_the_cores(monkeypatch):
    monkeypatch.setattr(pool, "available_cores", lambda: 16)
    monkeypatch.setattr(pool.torch.cuda, "device_count", lambda: 1)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert places(4, "cuda") == [{"OMP_NUM_THREADS": "4", "CUDA_VISIBLE_DEVICES": "0"}] * 4
    assert places(32, "cuda")[0]["OMP_NUM_THREADS"] == "1"


def test_the_log_names_the_first_of_several_commands(tmp_path):
    both = Job("a", tmp_path / "a.log", iter([["pass", "--then", "1"], None]).__next__)
    Pool([{}], quiet, PYTHON).work([both])
    assert both.failure is None and both.log.read_text() == "$ sib pass\n"
