"""Unpacks an untrusted archive within its folder, and within limits of size."""

import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from lzma import LZMAError
from pathlib import Path, PurePosixPath

from sib.utils.errors import InputError


@dataclass
class Limits:
    """What may still be unpacked; each member lowers it."""

    bytes: int
    files: int


def unpack(
    archive: Path, folder: Path, limits: Limits, progress: Callable[[int, int], None]
) -> None:
    """Unpack a tar archive, compressed or not, into a folder.

    Only files and folders are unpacked. The data sets hold nothing else, and a link could lead what
    follows it out of the folder.

    Args:
        archive: the file.
        folder: existing folder to unpack into.
        limits: in bytes and files, for all archives of a set together.
        progress: called with the bytes of the archive that were read, and their total.

    Raises:
        InputError: the archive is damaged or cut off, a member leaves the folder or is a link or a
            device, or a limit is passed.
        OSError: a file cannot be written.
    """
    total = archive.stat().st_size
    try:
        with archive.open("rb") as raw, tarfile.open(fileobj=raw, mode="r:*") as tar:
            for member in tar:
                _check(member, archive, limits)
                tar.extract(member, folder, filter="data", set_attrs=False)
                progress(raw.tell(), total)
    except (tarfile.TarError, EOFError, zlib.error, LZMAError) as error:
        raise InputError(f"{archive} is damaged or cut off: {error}") from None
    except OSError as error:
        # gzip and bz2 report damage by an OSError that names no file and has no number
        if error.errno is None:
            raise InputError(f"{archive} is damaged or cut off: {error}") from None
        raise


def _check(member: tarfile.TarInfo, archive: Path, limits: Limits) -> None:
    if not (member.isreg() or member.isdir()):
        raise InputError(f"{archive}: {member.name!r} is a link or a device; nothing was unpacked")
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts:
        raise InputError(f"{archive}: {member.name!r} leaves the folder; nothing was unpacked")
    limits.bytes -= member.size
    limits.files -= 1
    if limits.bytes < 0 or limits.files < 0:
        raise InputError(
            f"{archive} unpacks to more than the data set holds, in bytes or in files; nothing was "
            "unpacked"
        )
