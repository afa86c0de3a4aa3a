"""The file that resuming needs: protected by a checksum, with its predecessor kept."""

import hashlib
import os
from pathlib import Path
from typing import Any, BinaryIO

import torch

from sib.utils.errors import InputError
from sib.utils.files import whole_file

FORMAT = 1
READABLE = (FORMAT,)
STATE = {"epoch", "step", "best", "model", "optimizer", "processes"}
"""What a state must hold for a run to continue from it."""
MAGIC = b"sib-sha\n"
TRAILER = len(MAGIC) + hashlib.sha256().digest_size
CHUNK = 1 << 20


class TornState(ValueError):
    """A state file that is not what was written."""


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Write a state, and keep its predecessor as ``state-before.pt``.

    The file ends with the SHA-256 of everything before it. It is written under another name and
    flushed first. So at any moment one whole state exists: the new one, or its predecessor under
    either name.

    Args:
        path: path of the newest state.
        state: tensors and plain values.

    Raises:
        OSError: it cannot be written; both older states stay.
    """

    def keep_predecessor() -> None:
        if path.exists():
            os.replace(path, previous_path(path))

    with whole_file(path, keep_predecessor) as file:
        writer = _HashingWriter(file)
        try:
            torch.save(state, writer)  # type: ignore[arg-type]
        except RuntimeError:
            if writer.error is not None:  # torch hides the reason
                raise writer.error from None
            raise
        file.write(MAGIC + writer.digest.digest())


def newest_state(newest: Path) -> tuple[dict[str, Any] | None, str | None]:
    """Read the newest whole state without running any code.

    Args:
        newest: path of the newest state; if it is torn, its predecessor is read.

    Returns:
        The state, None if none was saved; and a warning if it is the predecessor.

    Raises:
        InputError: there are states, but none is whole or of a known format.
    """
    torn = []
    for path in (newest, previous_path(newest)):
        if not path.exists():
            continue
        try:
            state = read_state(path)
        except TornState as error:
            torn.append(str(error))
            continue
        if state.get("format") not in READABLE:
            raise InputError(
                f"{path} has format {state.get('format')!r}, and this sib reads "
                f"{', '.join(map(str, READABLE))}"
            )
        if not STATE.issubset(state) or not isinstance(state["epoch"], int):
            raise InputError(f"{path} is damaged: it holds no state of a run")
        before = f"step {state['step']}"
        return state, f"{torn[0]}; continuing from the state before it, {before}" if torn else None
    if torn:
        raise InputError(f"{torn[0]}, and there is no state before it to continue from")
    return None, None


def read_state(path: Path) -> dict[str, Any]:
    """Read a state without running any code.

    Raises:
        TornState: the checksum does not fit, or the content cannot be read.
    """
    try:
        _check(path)
        state = torch.load(path, weights_only=True, map_location="cpu")
        if not isinstance(state, dict) or not isinstance(state.get("step"), int):
            raise TornState(f"{path} is damaged: it holds no state of a run")
        return state
    except TornState:
        raise
    except Exception as error:  # torch lets many kinds through from a damaged file
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise TornState(f"{path} is damaged: {reason}") from None


def previous_path(path: Path) -> Path:
    """Path of the predecessor of the newest state."""
    return path.with_name(f"{path.stem}-before{path.suffix}")


def _check(path: Path) -> None:
    """Raise TornState unless the file is as it was written."""
    digest, left = hashlib.sha256(), path.stat().st_size - TRAILER
    if left < 0:
        raise TornState(f"{path} is damaged: it is cut off")
    with open(path, "rb") as file:
        while left:
            part = file.read(min(CHUNK, left))
            if not part:
                raise TornState(f"{path} is damaged: it is cut off")
            digest.update(part)
            left -= len(part)
        if file.read() != MAGIC + digest.digest():
            raise TornState(f"{path} is damaged: its checksum does not fit")


class _HashingWriter:
    """A file that hashes what is written to it."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.digest = file, hashlib.sha256()
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        self.digest.update(data)
        try:
            return self.file.write(data)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        self.file.flush()
