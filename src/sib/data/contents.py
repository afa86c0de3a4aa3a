"""Checksums of image files, remembered so that a file is read once."""

import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sib.data.cache import default_folder
from sib.data.cache_files import CacheRefused
from sib.utils.errors import InputError
from sib.utils.files import write_whole

MOST_READ = 200_000
"""Files of a set that is read as a whole."""
SAMPLE = 20_000
"""Files that are read of a larger set, spread over it; the others are known by their size."""
DIGITS = 32
"""Characters kept of each checksum, of SHA-256's 64."""
BY_SIZE = "size:"


def contents_of(paths: Sequence[Path]) -> list[str]:
    """A checksum of each file, or ``size:BYTES`` where there are too many files to read.

    Raises:
        InputError: a file cannot be read.
    """
    step = 1 if len(paths) <= MOST_READ else len(paths) // SAMPLE
    known = _Remembered(paths[0].parent if paths else Path())
    with ThreadPoolExecutor(8) as pool:
        kinds = ("sha256" if index % step == 0 else BY_SIZE for index in range(len(paths)))
        found = list(pool.map(known.content, paths, kinds))
    known.save()
    return found


def same_contents(paths: Sequence[Path], recorded: Sequence[str]) -> list[bool]:
    """Whether each file has the content that was recorded for it.

    Args:
        paths: of the files.
        recorded: what `contents_of` gave; empty where nothing is known.

    Raises:
        InputError: a file cannot be read.
    """
    known = _Remembered(paths[0].parent if paths else Path())
    kinds = [BY_SIZE if content.startswith(BY_SIZE) else "sha256" for content in recorded]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(known.content, paths, kinds))
    known.save()
    return [not old or old == new for old, new in zip(recorded, found, strict=True)]


class _Remembered:
    """Checksums by a file's path, size and times of change, in the user's cache.

    Args:
        folder: one of those that the files lie in; each has a file of its own in the cache.
    """

    def __init__(self, folder: Path) -> None:
        place = hashlib.sha256(os.fsencode(folder.absolute())).hexdigest()[:DIGITS]
        self.file: Path | None
        try:
            self.file = default_folder() / "contents" / f"{place}.json"
            self.known = json.loads(self.file.read_text())
        except CacheRefused:
            self.file, self.known = None, {}
        except (OSError, ValueError):  # none yet, or a damaged one, which is written again
            self.known = {}
        if not isinstance(self.known, dict):
            self.known = {}
        self.changed = False

    def content(self, path: Path, kind: str) -> str:
        try:
            facts = path.stat()
            if kind == BY_SIZE:
                return f"{BY_SIZE}{facts.st_size}"
            stamp = [facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns]
            key = str(path.absolute())
            stored = self.known.get(key)
            if isinstance(stored, list) and stored[:3] == stamp and len(stored) == 4:
                return str(stored[3])
            with open(path, "rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()[:DIGITS]
        except FileNotFoundError:
            raise InputError(f"{path} is missing") from None
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}") from None
        self.known[key], self.changed = [*stamp, found], True
        return found

    def save(self) -> None:
        if self.file is None or not self.changed:
            return
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self.file, json.dumps(self.known))
        except OSError:  # the checksums are as good, and are computed again next time
            return
