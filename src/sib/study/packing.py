"""Packs the records of a study into one file, without weights and absolute paths."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import yaml

from sib.config.yaml_file import parse_yaml
from sib.data.identity import without_absolute_paths
from sib.runs.archive import archive_of
from sib.runs.archive_file import RECORD, read_archive, write_archive
from sib.runs.reader import is_run
from sib.utils.errors import InputError

MACHINE = ("host", "hostname", "launch")
"""Keys whose value names a machine, or a launch on it."""
PLACES = ("out", "root", "command", "file")
"""Keys for places of files, on which no result depends."""
DESCRIPTIONS = ("environment.json", "evaluation.json")
"""Records that only describe. The paths in a configuration, in contrast, are used again."""
WITHIN_TEXT = re.compile(
    r"(?:^|(?<=[\s=,;:'\"(]))(?:~/|[A-Za-z]:[\\/]|/(?!/))[^\s,;'\")]*[\w]", re.M
)
"""An absolute path inside a longer text."""


def pack(folder: Path) -> tuple[Path, int, list[str]]:
    """Write the archive beside a study's folder, from that folder and the previous archive.

    A run in the folder replaces the same run in the archive. Runs that have not ended are left out,
    since they cannot continue without their state.

    Args:
        folder: the study's folder.

    Returns:
        The archive, the number of runs in it, and the names of the runs that were left out.

    Raises:
        InputError: nothing has ended yet, a record is damaged or would carry an absolute path, or
            the archive cannot be read or written.
    """
    archive = archive_of(folder)
    runs = sorted(run for run in (folder / "runs").glob("*") if is_run(run))
    ended = {run.name for run in runs if (run / "result.json").is_file()}
    records = dict(read_archive(archive)) if archive.is_file() else {}
    records = {name: content for name, content in records.items() if _run(name) not in ended}
    for path in _files(folder, ended):
        name = path.relative_to(folder).as_posix()
        records[name] = without_places(path, _read(path))
    count = len({_run(name) for name in records} - {""})
    if not count:
        raise InputError(f"{folder} holds no run that has ended, so there is nothing to pack")
    write_archive(archive, records)
    return archive, count, [run.name for run in runs if run.name not in ended]


def without_places(path: Path, content: bytes) -> bytes:
    """Remove absolute paths and names of machines from a record; without any, it stays the same.

    Args:
        path: path of the file, which decides its format.
        content: content of the file.

    Raises:
        InputError: it is damaged, or an option that matters, such as ``data``, is an absolute path.
    """
    if path.suffix == ".png":
        return content
    text = _text(path, content)
    if path.suffix not in FORMATS:
        _clean(path, text, "a line")
        return content
    parse, write = FORMATS[path.suffix]
    try:
        before = parse(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged: {' '.join(str(error).split())}") from None
    named = without_absolute_paths(before) if path.name in DESCRIPTIONS else before
    after = _clean(path, named, "")
    return content if after == before else write(after).encode()


FORMATS: dict[str, tuple[Callable[[str], Any], Callable[[Any], str]]] = {
    ".json": (json.loads, lambda value: json.dumps(value, indent=1, ensure_ascii=False)),
    ".yaml": (parse_yaml, lambda value: yaml.safe_dump(value, sort_keys=False)),
}
"""How to read and write a record; tables and lines are only searched."""
ADVICE = "records are packed without any, so give it relative to the folder in which sib is started"


def _clean(path: Path, value: Any, key: str) -> Any:
    """The value without absolute paths; ``key`` is its name, or that of the list that holds it."""
    if isinstance(value, dict):
        kept = {name: item for name, item in value.items() if not _names_machine(name, item)}
        return {name: _clean(path, item, str(name)) for name, item in kept.items()}
    if isinstance(value, list):
        return [_clean(path, item, key) for item in value]
    if not isinstance(value, str):
        return value
    for found in _absolute(value):
        if key not in PLACES:
            raise InputError(f"{path}: {key} holds the absolute path {found}; {ADVICE}")
        value = value.replace(found, PureWindowsPath(PurePosixPath(found).name).name)
    return value


def _names_machine(key: Any, value: Any) -> bool:
    return key in MACHINE and bool(value)


def _absolute(text: str) -> list[str]:
    """Absolute paths in a text."""
    if PurePosixPath(text).is_absolute() or text.startswith("~/"):
        return [text]
    return WITHIN_TEXT.findall(text)


def _files(folder: Path, ended: set[str]) -> Iterator[Path]:
    """The records of the study and of the runs that have ended."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if RECORD.fullmatch(name) and path.is_file() and _run(name) in ended | {""}:
            yield path


def _run(name: str) -> str:
    parts = name.split("/")
    return parts[1] if len(parts) > 2 else ""


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None


def _text(path: Path, content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is damaged: {error}") from None
