"""Two processes in one run folder."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from sib.utils.errors import InputError
from sib.utils.locks import FolderLock

HOLD = """
import sys, time
from pathlib import Path
from sib.utils.locks import FolderLock
lock = FolderLock(Path(sys.argv[1]))
lock.take()
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
        lock.take()


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path, holder):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    lock = FolderLock(tmp_path)
    lock.take()
    assert f'"process": {os.getpid()}' in (tmp_path / ".lock").read_text()
    lock.release()


def test_a_lock_can_be_waited_for(tmp_path, holder):
    timer = threading.Timer(0.3, holder.kill)
    timer.start()
    lock = FolderLock(tmp_path)
    lock.take(patience=60)
    timer.join()
    lock.release()


def test_a_released_lock_can_be_taken_again(tmp_path):
    first, second = FolderLock(tmp_path), FolderLock(tmp_path)
    first.take()
    with pytest.raises(InputError, match=f"process {os.getpid()}"):
        second.take()
    first.release()
    second.take()
    second.release()
    second.release()  # without effect


def test_a_folder_that_is_none_is_told(tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        FolderLock(tmp_path / "none").take()
