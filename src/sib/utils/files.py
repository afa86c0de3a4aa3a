"""Writing files that are whole or not there, and their checksums."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def whole_file(path: Path, before: Callable[[], object] = lambda: None) -> Iterator[BinaryIO]:
    """A file that is written under another name, flushed to the disk, and renamed at the end.

    A stop leaves the old file or the new one.

    Args:
        path: the file.
        before: called when the new file is whole, just before it takes its name.

    Raises:
        OSError: the folder cannot be written; the old file stays.
    """
    with _renamed_together([path], before) as parts, _flushed(parts[path]) as file:
        yield file


def write_whole(path: Path, content: str | bytes) -> None:
    """Write under another name, flush to the disk, rename: a stop leaves the old file or the new.

    Raises:
        OSError: the folder cannot be written; the old file stays.
    """
    write_together({path: content})


def write_together(contents: Mapping[Path, str | bytes]) -> None:
    """Write files that belong together: none is replaced before all are on the disk.

    Raises:
        OSError: a folder cannot be written, or the disk is full; the old files stay.
    """
    with _renamed_together(contents) as parts:
        for path, content in contents.items():
            with _flushed(parts[path]) as file:
                file.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def _renamed_together(
    paths: Iterable[Path], before: Callable[[], object] = lambda: None
) -> Iterator[dict[Path, Path]]:
    """Other names to write files under, which take their own names at the end, or are removed."""
    parts = {path: path.with_name(f".{path.name}.part") for path in paths}
    try:
        yield parts
        before()
        for path, part in parts.items():
            os.replace(part, path)
        for folder in {path.parent for path in parts}:
            flush_to_disk(folder)
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)


@contextmanager
def _flushed(path: Path) -> Iterator[BinaryIO]:
    """A new file that is on the disk at the end."""
    with open(path, "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def flush_to_disk(path: Path) -> None:
    """Make a file's content, or the renames in a folder, survive a loss of power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    """Checksum of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def or_weights_in(folder: Path) -> str:
    """For messages: the file of weights in a folder that is not a run, as Hugging Face has it."""
    endings = (".safetensors", ".pt", ".pth", ".ckpt", ".bin")
    names = [path for path in sorted(folder.glob("*")) if path.suffix in endings]
    return f", or the file {names[0]}" if len(names) == 1 else ""
