"""Writing files that are whole or not there, and their checksums."""

import hashlib
import os
from pathlib import Path


def write_whole(path: Path, content: str | bytes) -> None:
    """Write under another name, flush to the disk, rename: a stop leaves the old file or the new.

    Raises:
        OSError: the folder cannot be written; the old file stays.
    """
    temporary = path.with_name(f".{path.name}.part")
    data = content.encode() if isinstance(content, str) else content
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        flush_to_disk(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


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
