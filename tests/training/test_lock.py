"""Two processes in one run folder."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading

import pytest

from helpers.pictures import save_classes
from sib.cli.main import main
from sib.utils.errors import InputError
from sib.utils.locks import FolderLock

HOLD = """
import sys, time
from pathlib import Path
from sib.utils.locks import FolderLock
lock = FolderLock(Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lock of a folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_the_second_process_is_refused_with_the_firsts_number(tmp_path, holder):
    lock = FolderLock(tmp_path)
    with pytest.raises(InputError, match=f"is in use by process {holder.pid} on "):
        lock.acquire()


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path, holder):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    lock = FolderLock(tmp_path)
    lock.acquire()
    assert f'"process": {os.getpid()}' in (tmp_path / ".lock").read_text()
    lock.release()


def test_a_lock_can_be_waited_for(tmp_path, holder):
    timer = threading.Timer(0.3, holder.kill)
    timer.start()
    lock = FolderLock(tmp_path)
    lock.acquire(patience=60)
    timer.join()
    lock.release()


def test_a_released_lock_can_be_taken_again(tmp_path):
    first, second = FolderLock(tmp_path), FolderLock(tmp_path)
    first.acquire()
    with pytest.raises(InputError, match=f"process {os.getpid()}"):
        second.acquire()
    first.release()
    second.acquire()
    second.release()
    second.release()  # without effect


def test_a_folder_that_is_none_is_told(tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        FolderLock(tmp_path / "none").acquire()


def refuse_locks(patch, function, number):
    def refuse(*arguments):
        raise OSError(number, os.strerror(number))

    patch.setattr(fcntl, function, refuse)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS])
def test_a_file_system_without_locks_is_said_and_no_hindrance(tmp_path, monkeypatch, number):
    refuse_locks(monkeypatch, "flock", number)
    lock = FolderLock(tmp_path)
    lock.acquire()
    assert f"the file system of {tmp_path} has no locks" in lock.warning
    lock.release()


def test_another_failure_of_a_lock_is_a_sentence(tmp_path, monkeypatch):
    refuse_locks(monkeypatch, "flock", errno.EIO)
    with pytest.raises(InputError, match="cannot be locked: Input/output error"):
        FolderLock(tmp_path).acquire()


def test_a_run_on_such_a_file_system_says_so(tmp_path, monkeypatch, capsys):
    refuse_locks(monkeypatch, "flock", errno.ENOLCK)
    refuse_locks(monkeypatch, "lockf", errno.ENOLCK)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    data = save_classes(tmp_path / "set")
    command = ["train", "--data", str(data), "--out", str(tmp_path / "run"), "--epochs", "1"]
    command += ["--arch", "small_resnet", "--method", "ce", "--image-size", "16", "--device", "cpu"]
    assert main([*command, "--workers", "0", "--batch-size", "4"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert f"the file system of {tmp_path / 'run'} has no locks" in out
    assert "cache: the file system of" in out
