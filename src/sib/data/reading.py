"""Batches that other processes read, and what happens if one of those processes dies."""

import atexit
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.queues import Queue
from typing import Any
from weakref import WeakSet

from torch.utils.data import DataLoader

from sib.utils.errors import ReaderDied

END = object()
CAUGHT = "in DataLoader worker process"
UNSENT = os.EX_IOERR
"""Exit code of a process that could not pass a batch on."""


def read_batches(loader: DataLoader[Any]) -> Iterator[Any]:
    """The batches of a loader. Its processes start at once, not with the first batch.

    torch's handler of SIGCHLD raises wherever the program is at that moment, and again for the
    next process that dies. Here such an error is raised while a batch is read, and once.

    Args:
        loader: with any number of processes.

    Raises:
        ReaderDied: a process that reads images ended early.
    """
    if not loader.num_workers:
        return iter(loader)
    _watch.died = None
    others = set(multiprocessing.active_children())
    with _watch.reading():
        batches = iter(loader)
    _watch.install()
    _kill_at_exit(set(multiprocessing.active_children()) - others)
    return _read(batches)


def is_worker_crash(error: BaseException) -> bool:
    """Whether an error is about a reading process that ended early.

    torch reports it, or the pipe to that process breaks first. An error that the data set raises
    there arrives with torch's words about where it was caught, and is not about the process.
    """
    text = str(error)
    broken_pipe = isinstance(error, (ConnectionError, EOFError)) and CAUGHT not in text
    return broken_pipe or text.startswith("DataLoader worker (pid")


def prepare_worker(worker: int) -> None:
    """Set up a process that reads images.

    It ignores Ctrl-C, which reaches every process: the main one finishes its step and stops them.
    It ends where a batch cannot be passed on, as the main process would wait for that batch
    forever.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    Queue._on_queue_feeder_error = staticmethod(_end)  # type: ignore[attr-defined]


def _end(error: object, batch: object) -> None:
    os._exit(UNSENT)


def _about_death(text: str) -> str:
    if any(process.exitcode == UNSENT for process in _started):
        return (
            "a process that reads images could not pass on a batch, most likely because the shared "
            "memory (/dev/shm) is full: enlarge it, as by docker run --shm-size, or give "
            "--workers 0"
        )
    return f"a process that reads images died ({text})"


def _kill_at_exit(processes: set[Any]) -> None:
    """Kill processes that are still there at the end of the program, as after a traceback.

    Python and torch ask them to end by SIGTERM, which they ignore, and wait for them forever.
    """
    _started.update(processes)
    atexit.unregister(_kill_started)
    atexit.register(_kill_started)  # what is registered last comes first, so before torch's own


def _kill_started() -> None:
    for process in set(_started) & set(multiprocessing.active_children()):
        process.kill()


def _read(batches: Iterator[Any]) -> Iterator[Any]:
    while True:
        with _watch.reading():
            batch = next(batches, END)
        if batch is END:
            return
        yield batch


class _Watch:
    """Keeps what torch reports about dead processes until the next batch is read."""

    def __init__(self) -> None:
        self.died: RuntimeError | None = None
        self.is_reading = False
        self.handlers: set[Any] = set()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """The one place where the death of a process is raised."""
        self.is_reading = threading.current_thread() is threading.main_thread()
        try:
            if self.died is not None:
                raise self.died
            yield
        except (RuntimeError, ConnectionError, EOFError) as error:
            self.is_reading = False  # looking at the processes can call the handler again
            if not is_worker_crash(error):
                raise
            raise ReaderDied(_about_death(" ".join(str(error).split()))) from None
        finally:
            self.is_reading = False

    def install(self) -> None:
        """Put a handler of SIGCHLD around torch's, which is there once a loader has started."""
        inner = signal.getsignal(signal.SIGCHLD)
        is_main = threading.current_thread() is threading.main_thread()
        if not callable(inner) or inner in self.handlers or not is_main:
            return

        def handler(number: int, frame: Any) -> None:
            try:
                inner(number, frame)
            except RuntimeError as error:
                self.died = error
                if self.is_reading:
                    self.is_reading = False
                    raise

        self.handlers.add(handler)
        signal.signal(signal.SIGCHLD, handler)


_watch = _Watch()
_started: WeakSet[Any] = WeakSet()
