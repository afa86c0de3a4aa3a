"""What a target of the fuzzers is, and the files that its reader reads."""

import io
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import NamedTuple

import torch

BREAK = b"\n====\n"
"""Stands between the files of an input that holds several."""


class Target(NamedTuple):
    """A reader, and inputs that it can read."""

    read: Callable[[bytes], object]
    seeds: Callable[[], list[bytes]]


@cache
def folder(name: str) -> Path:
    """A folder of its own for a target; small, and on tmpfs where the system has it there."""
    return Path(mkdtemp(prefix=f"sib-fuzz-{name}-"))


def write(root: Path, names: tuple[str, ...], data: bytes) -> None:
    """Write the parts of an input as files; a part that is not there is no file."""
    parts = data.split(BREAK, len(names) - 1)
    for index, name in enumerate(names):
        (root / name).unlink(missing_ok=True)
        if index < len(parts):
            (root / name).write_bytes(parts[index])


def saved(content: object) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()
