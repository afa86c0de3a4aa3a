"""One compressed file with the records of a study: writing it, and reading one that may be hostile.

The names inside are paths relative to the study's folder, such as ``runs/ce-0/result.json``.
"""

import io
import lzma
import re
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from sib.utils.errors import InputError
from sib.utils.files import write_whole

NAME = r"[A-Za-z0-9][A-Za-z0-9._+=-]*"
RECORD = re.compile(
    rf"study\.json|front\.png|runs/{NAME}/(validation/)?{NAME}\.(json|jsonl|yaml|csv)"
)
"""Allowed names in an archive: no weights, no images, no path that leaves the folder."""
LARGEST_RECORD, LARGEST_ARCHIVE = 2**26, 2**29
"""Most bytes of one record and of all, uncompressed."""
MOST_RECORDS = 2**16
DECODER_MEMORY = 2**27
"""Most bytes of memory for the decoder; a file chooses the size of its window itself."""
PRESET = 9
CHUNK = 2**16


def write_archive(archive: Path, records: Mapping[str, bytes]) -> None:
    """Write records as one file; the same records give the same bytes.

    Names are sorted, and no time, owner or machine is stored. Another version of liblzma may
    compress to different bytes.

    Args:
        archive: the file, replaced as a whole.
        records: content by name, where names match `RECORD`.

    Raises:
        InputError: a name or a size is not allowed, or the file cannot be written.
    """
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted(records):
            _check_record(archive, name, len(records[name]))
            member = tarfile.TarInfo(name)
            member.size = len(records[name])
            try:
                tar.addfile(member, io.BytesIO(records[name]))
            except ValueError:
                raise InputError(f"{archive} cannot hold {name}: its name is too long") from None
    plain = content.getvalue()
    if len(plain) > LARGEST_ARCHIVE or len(records) > MOST_RECORDS:
        raise InputError(
            f"{archive} would hold {len(records)} files and {len(plain)} bytes; at most "
            f"{MOST_RECORDS} and {LARGEST_ARCHIVE} are allowed"
        )
    try:
        write_whole(archive, lzma.compress(plain, preset=PRESET | lzma.PRESET_EXTREME))
    except OSError as error:
        raise InputError(f"{archive} cannot be written: {error.strerror}") from None


def read_archive(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of every record.

    Nothing is written, and no more is decompressed than this module's limits allow.

    Raises:
        InputError: the file is damaged or cut off, exceeds a limit, or holds anything but records,
            such as a link or a path that leaves the folder.
    """
    seen: set[str] = set()
    try:
        with open(archive, "rb") as raw:
            stream: Any = io.BufferedReader(_Decompressed(raw, archive))
            with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Member) as tar:
                for member in tar:
                    _check_record(archive, member.name, member.size)
                    if member.name in seen or len(seen) == MOST_RECORDS:
                        raise InputError(f"{archive} holds {member.name} twice, or too many files")
                    seen.add(member.name)
                    file = tar.extractfile(member)
                    assert file is not None  # _Member lets plain files through only
                    yield member.name, file.read()
            while stream.read(CHUNK):  # the checksum is at the end
                pass
    except (tarfile.TarError, lzma.LZMAError, EOFError) as error:
        raise InputError(f"{archive} is damaged or cut off: {error}") from None
    except OSError as error:
        raise InputError(f"{archive} cannot be read: {error.strerror}") from None


def _check_record(archive: Path, name: str, size: int) -> None:
    if not RECORD.fullmatch(name):
        raise InputError(
            f"{archive}: {name!r} is not a record of a study; allowed are the .json, .jsonl, .yaml "
            "and .csv files below runs/NAME, study.json and front.png"
        )
    if size > LARGEST_RECORD:
        raise InputError(f"{archive}: {name} has more than {LARGEST_RECORD} bytes")


class _Member(tarfile.TarInfo):
    """A plain file; anything else is refused before tarfile acts on it."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_Member":
        if len(buf) == tarfile.BLOCKSIZE and not any(buf):
            return super().frombuf(buf, encoding, errors)  # the end, which tarfile reports itself
        try:
            member = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:  # tarfile would take damage for the end
            raise tarfile.ReadError(str(error)) from None
        if member.type != tarfile.REGTYPE:
            raise tarfile.ReadError(f"{member.name!r} is not a plain file")
        return member


class _Decompressed(io.RawIOBase):
    """The content of a compressed file, up to a limit.

    Args:
        raw: the compressed file.
        archive: its path, for messages.
    """

    def __init__(self, raw: BinaryIO, archive: Path) -> None:
        self.raw, self.archive, self.left = raw, archive, LARGEST_ARCHIVE
        self.decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=DECODER_MEMORY)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self.decoder.eof:
            given = self.raw.read(CHUNK) if self.decoder.needs_input else b""
            if self.decoder.needs_input and not given:
                raise EOFError("it ends too early")
            data = self.decoder.decompress(given, len(buffer))
            self.left -= len(data)
            if self.left < 0:
                raise InputError(f"{self.archive} unpacks to more than {LARGEST_ARCHIVE} bytes")
            if data:
                buffer[: len(data)] = data
                return len(data)
        return 0
