"""One process at a time in a run folder."""

import errno
import fcntl
import json
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, TextIO

from sib.utils.errors import InputError

NAME = ".lock"
WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
"""What a file system without locks answers."""


class FolderLock:
    """Held from `acquire` to `release`, or to the death of the process.

    The lock is the kernel's (flock), so that of a dead process needs no removal; the file says
    whose it is.

    Args:
        folder: that one process at a time may work in.
        alternative: what the second process could do instead of waiting, for its message.
    """

    def __init__(self, folder: Path, alternative: str = "choose another --out") -> None:
        self.path = folder / NAME
        self.alternative = alternative
        self._file: TextIO | None = None
        self.warning: str | None = None
        """Said where the file system has no locks, after `acquire`."""

    def acquire(self, patience: float = 0.0) -> None:
        """Take the lock of a folder that exists.

        Args:
            patience: seconds to wait for another process; those that read images for one that was
                killed keep its lock for a while.

        Raises:
            InputError: another process has it, or the folder cannot be written.
        """
        if self._file is not None:
            return
        try:
            file = open(self.path, "a+")  # noqa: SIM115 - held open as long as the lock
        except OSError as error:
            raise InputError(f"{self.path.parent} cannot be written: {error.strerror}") from None
        deadline = time.monotonic() + patience
        while self._is_taken(file):
            if time.monotonic() >= deadline:
                raise InputError(
                    f"{self.path.parent} is in use by {_owner(file)}: wait for it, or "
                    f"{self.alternative}"
                )
            time.sleep(0.1)
        file.truncate(0)
        file.write(json.dumps({"process": os.getpid(), "host": socket.gethostname()}))
        file.flush()
        self._file = file

    def _is_taken(self, file: TextIO) -> bool:
        try:
            held = try_lock(file, fcntl.flock)
        except OSError as error:
            raise InputError(f"{self.path} cannot be locked: {error.strerror}") from None
        if held is None:
            self.warning = (
                f"the file system of {self.path.parent} has no locks: nothing keeps a second "
                "process out of this folder"
            )
        return held is False

    def release(self) -> None:
        """Give the lock back; without effect where it is not held."""
        if self._file is not None:
            self._file.close()
            self._file = None


def try_lock(file: IO[str], lock: Callable[[IO[str], int], object]) -> bool | None:
    """Whether an open file could be locked at once; None if its file system has no locks.

    Args:
        file: open for writing.
        lock: ``fcntl.flock``, whose locks child processes inherit and keep, or ``fcntl.lockf``,
            whose locks end with the process that took them.
    """
    try:
        lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # POSIX allows either
        return False
    except OSError as error:
        if error.errno not in WITHOUT_LOCKS:
            raise
        return None
    return True


def _owner(file: TextIO) -> str:
    file.seek(0)
    try:
        owner = json.loads(file.read())
        return f"process {owner['process']} on {owner['host']}"
    except (ValueError, KeyError, TypeError):  # between its lock and its line
        return "another process"
    finally:
        file.close()
