"""Download one file, from where an earlier attempt stopped."""

import hashlib
import http.client
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from sib.data.datasets.catalogue import Archive
from sib.utils.errors import InputError

BLOCK = 2**20
TIMEOUT = 60
ATTEMPTS = 5
"""Connections in a row that may break off before the download is given up."""

Progress = Callable[[int, int], None]
"""Called with the number of bytes that are done, and their total."""


def download(archive: Archive, folder: Path, progress: Progress) -> str:
    """Download an archive and compare its size and checksum.

    Partial content is kept in ``<file>.part``, from which an interrupted download continues.

    Args:
        archive: what to download.
        folder: where to put it.
        progress: called with the bytes that are done, and their total.

    Returns:
        The sha256 of ``folder / archive.file``.

    Raises:
        InputError: the server cannot be reached or breaks off, or the file does not match.
        OSError: it cannot be written.
    """
    part = folder / f"{archive.file}.part"
    broken = 0
    while _size(part) < archive.size:
        before = _size(part)
        try:
            _receive(archive, part, progress)
            reason = "the connection broke off"
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, OSError) as error:
            if _is_local(error, part):
                raise
            cause = getattr(error, "reason", None) or error
            reason = getattr(cause, "strerror", None) or str(cause) or type(error).__name__
        broken = 0 if _size(part) > before else broken + 1
        if broken >= (ATTEMPTS if before else 1):
            raise InputError(_given_up(archive, part, reason))
    digest = check(part, archive, remove=True, progress=progress)
    part.replace(folder / archive.file)
    return digest


def check(file: Path, archive: Archive, remove: bool, progress: Progress) -> str:
    """Compare the size and the checksum of a file, and return its sha256.

    Args:
        file: to check.
        archive: what it must be.
        remove: delete it if it does not match.
        progress: called with the bytes that are done, and their total.

    Raises:
        InputError: it is cut off or does not match.
    """
    kind, _, wanted = (archive.checksum or "sha256:").partition(":")
    digests = {"sha256": hashlib.sha256(), kind: hashlib.new(kind, usedforsecurity=False)}
    done = 0
    with file.open("rb") as stream:
        while block := stream.read(BLOCK):
            for digest in digests.values():
                digest.update(block)
            done += len(block)
            progress(done, archive.size)
    got = digests[kind].hexdigest()
    problem = ""
    if done != archive.size:
        problem = f"has {done} bytes, and {archive.file} has {archive.size}"
    elif wanted and got != wanted:
        problem = f"has the {kind} {got}, and {archive.file} has {wanted}"
    if problem and remove:
        file.unlink()
        raise InputError(f"{archive.url}: what arrived {problem}; it was removed")
    if problem:
        raise InputError(f"{file} {problem}; remove it, so that it is downloaded again")
    return digests["sha256"].hexdigest()


def _receive(archive: Archive, part: Path, progress: Progress) -> None:
    """Append what the server sends to ``part``, until it ends or breaks off."""
    done = _size(part)
    headers = {"Range": f"bytes={done}-"} if done else {}
    request = urllib.request.Request(archive.url, headers={"User-Agent": "sib", **headers})
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
        if done and not _goes_on(answer, done):
            done = 0  # the server sent the whole file
        with part.open("ab" if done else "wb") as file:
            while done < archive.size and (block := answer.read(BLOCK)):
                file.write(block)
                done += len(block)
                progress(done, archive.size)
            file.flush()
            os.fsync(file.fileno())


def _goes_on(answer: http.client.HTTPResponse, done: int) -> bool:
    found = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    return answer.status == 206 and found is not None and int(found[1]) == done


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _is_local(error: BaseException, part: Path) -> bool:
    """Whether it is the disk that failed, not the network: only then is a file named."""
    return isinstance(error, OSError) and getattr(error, "filename", None) == str(part)


def _given_up(archive: Archive, part: Path, reason: str) -> str:
    kept = f"; {_size(part)} of {archive.size} bytes are kept" if _size(part) else ""
    return (
        f"{archive.url} cannot be downloaded ({reason}){kept}; run the command again, or put "
        f"{archive.file} into {part.parent} by other means"
    )
