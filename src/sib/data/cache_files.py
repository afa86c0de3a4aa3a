"""Folders of files that are built once, by one process, and never read half-built."""

import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sib.utils.files import flush_to_disk
from sib.utils.locks import try_lock

FACTS = "cache.json"
PATIENCE = 2.0
"""Seconds to wait for another process before a message is shown."""


class CacheRefused(Exception):
    """Why there is no cache, in one sentence. Images can be read without one."""


def is_whole(path: Path, facts: dict[str, Any]) -> bool:
    """Whether a folder was built with these facts and its files have the sizes that it lists."""
    try:
        stored = json.loads((path / FACTS).read_text())
        sizes = {name: (path / name).stat().st_size for name in stored["files"]}
        return bool(stored["facts"] == facts and sizes == stored["files"])
    except (OSError, ValueError, TypeError, KeyError):
        return False


def build_once(
    path: Path,
    facts: dict[str, Any],
    write: Callable[[Path], None],
    info: Callable[[str], object],
) -> bool:
    """Build a folder, unless another process is building it or has built it.

    The folder is written under another name, flushed, and renamed as a whole.

    Args:
        path: the folder.
        facts: what `is_whole` should find.
        write: writes the files into the folder that it receives.
        info: called with a sentence while waiting for another process.

    Returns:
        Whether this process built the folder.

    Raises:
        CacheRefused: the folder cannot be written. Nothing is left behind.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path, info) as held:
            if is_whole(path, facts):
                return False
            if held:  # without locks, what looks left over may be another process's work
                _remove_leftovers(path)
            _build(path, facts, write)
            return True
    except OSError as error:
        raise CacheRefused(f"{path.parent} cannot be written: {error.strerror}") from None


def _build(path: Path, facts: dict[str, Any], write: Callable[[Path], None]) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.mkdir()
        write(part)
        sizes = {file.name: file.stat().st_size for file in part.iterdir()}
        (part / FACTS).write_text(json.dumps({"facts": facts, "files": sizes}, indent=2))
        for file in (*part.iterdir(), part):
            flush_to_disk(file)
        if path.exists():  # a damaged one
            shutil.rmtree(path)
        part.rename(path)
        flush_to_disk(path.parent)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


@contextmanager
def _locked(path: Path, info: Callable[[str], object]) -> Iterator[bool]:
    """Hold the lock of a folder; it is released when the process ends, however it ends.

    The lock is not flock's, which worker processes would inherit and keep when this one is killed.

    Yields whether there is a lock: some file systems have none.
    """
    with open(_lock_of(path), "a") as file:
        deadline = time.monotonic() + PATIENCE
        while (held := try_lock(file, fcntl.lockf)) is False:
            if time.monotonic() > deadline:
                info(f"cache: waiting for another process that builds {path}")
                fcntl.lockf(file, fcntl.LOCK_EX)
                held = True
                break
            time.sleep(0.05)
        if held is None:
            info(
                f"cache: the file system of {path.parent} has no locks; two processes may build it"
            )
        yield bool(held)


def _lock_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.lock")


def _remove_leftovers(path: Path) -> None:
    """Remove the leftovers of builders that were killed: their locks are free."""
    for part in path.parent.glob(".*.part"):
        owner = path.with_name(part.name.split(".")[1])
        if owner == path:
            shutil.rmtree(part, ignore_errors=True)
            continue
        # opening one's own lock file again and closing it would free the lock
        with open(_lock_of(owner), "a") as file:
            if try_lock(file, fcntl.lockf):
                shutil.rmtree(part, ignore_errors=True)
