"""Processes forked from the test's own, which has imported everything: they start at once."""

import os
import socket
import time
import traceback
from contextlib import redirect_stderr, redirect_stdout
from functools import wraps
from pathlib import Path

import torch.multiprocessing as mp

from sib.cli.main import main
from sib.cli.sequence import main as run_sequence
from sib.study.pool import Pool


class Forked:
    """A function in a forked process, with the methods of a `subprocess.Popen`.

    Args:
        action: returns the exit code; an error ends the process with 70.
        output: file to which both streams are appended.
        error: file for the error stream alone.
        session: whether the process leads a session, as one started from a terminal does.
    """

    def __init__(self, action, output=os.devnull, error=None, session=False):
        self.returncode = None
        self.pid = os.fork()
        if not self.pid:
            self._work(action, output, error or output, session)

    def _work(self, action, output, error, session):
        code = 70
        try:
            if session:
                os.setsid()
            for number, path in ((1, output), (2, error)):
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
            with open(1, "w") as out, open(2, "w", buffering=1) as err:
                try:
                    with redirect_stdout(out), redirect_stderr(err):
                        code = action()
                except BaseException:
                    traceback.print_exc(file=err)
        finally:
            os._exit(code)

    def poll(self):
        if self.returncode is None:
            done, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if done else None
        return self.returncode

    def wait(self, timeout=120):
        deadline = time.monotonic() + timeout
        while self.poll() is None:
            assert time.monotonic() < deadline, f"process {self.pid} does not end"
            time.sleep(0.005)
        return self.returncode

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)


def command(arguments, folder: Path, **options):
    """The command ``sib`` in a forked process, which writes the folder's stdout and stderr."""
    return Forked(lambda: main(arguments), folder / "stdout", folder / "stderr", **options)


def fork_the_pool(patch):
    """The commands of a study run in forked processes, in place of new interpreters."""

    def start(pool, command, log, environment):
        def action():
            os.environ.update(environment)
            return run_sequence(list(command))

        return Forked(action, log, session=True)

    patch.setattr(Pool, "_start", start)


def in_a_process(action) -> str:
    """What an action says in a process of its own: ``done``, or the kind and text of its error."""
    reading, writing = os.pipe()
    process = os.fork()
    if not process:
        try:
            action()
            said = "done"
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(writing, said.encode()[:60_000])
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    os.waitpid(process, 0)
    return said


def apart(test):
    """The test in a forked process, whose memory goes back to the system."""

    @wraps(test)
    def run(*arguments, **options):
        def shown():
            try:
                test(*arguments, **options)
            except BaseException:
                traceback.print_exc()
                raise

        said = in_a_process(shown)
        assert said == "done", said

    return run


def in_two(work, *arguments):
    """Run ``work(rank, *arguments)`` in two processes that find one another, as torchrun has it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.start_processes(_launched, (port, work, arguments), nprocs=2, start_method="fork")


def command_in_two(arguments, folder: Path) -> str:
    """Run the command ``sib`` in two such processes; what both print, in one line."""
    in_two(_shown, arguments, folder)
    text = "".join((folder / f"screen-{rank}").read_text() for rank in range(2))
    return " ".join(text.split())


def _shown(rank, arguments, folder):
    with open(folder / f"screen-{rank}", "w") as screen, redirect_stdout(screen):
        assert main(arguments) == 0


def _launched(rank, port, work, arguments):
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank)}
    work(rank, *arguments)
