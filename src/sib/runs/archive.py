"""Runs whose records are only in their study's archive, and how the commands find them.

``leeds.tar.xz`` beside a folder ``leeds`` holds what that folder held, without weights; see
`sib.runs.archive_file`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from sib.runs.archive_file import read_archive
from sib.runs.reader import is_run
from sib.utils.errors import InputError
from sib.utils.files import write_whole

SUFFIX = ".tar.xz"


def archive_of(folder: Path) -> Path:
    """Path of a study's archive, beside its folder."""
    return folder.with_name(folder.name + SUFFIX)


def restore(folder: Path, into: Path | None = None) -> None:
    """Extract the runs of a folder's archive that the folder lacks; do nothing without an archive.

    A run that is already in the folder stays unchanged.

    Args:
        folder: the study's folder.
        into: where to write; None for the folder itself.

    Raises:
        InputError: the archive cannot be read, or a file cannot be written.
    """
    archive = archive_of(folder)
    # files that are only read briefly need not survive a loss of power
    write = write_whole if into is None else Path.write_bytes
    into = into or folder
    if not archive.is_file():
        return
    records = {
        name: content
        for name, content in read_archive(archive)
        if not (is_run(folder / _run_of(name)) if _run_of(name) else (folder / name).exists())
    }
    try:
        # config.yaml makes a folder a run, so it comes last: a stop leaves no run that lacks a file
        for name in sorted(records, key=lambda name: (name.endswith("/config.yaml"), name)):
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            write(into / name, records[name])
    except OSError as error:
        raise InputError(f"{into} cannot be written: {error.strerror}") from None


@contextmanager
def overlaid(folder: Path) -> Iterator[Path]:
    """A temporary folder with the runs that only the study's archive has.

    Args:
        folder: the study's folder; nothing is written into it. Errors name it.
    """
    with TemporaryDirectory(prefix="sib-records-") as temporary:
        try:
            restore(folder, Path(temporary))
            yield Path(temporary)
        except InputError as error:
            raise InputError(str(error).replace(temporary, str(folder))) from None


def archived_study(run: Path) -> Path | None:
    """The folder of the study whose archive holds a missing run folder.

    Args:
        run: such as ``leeds/runs/ce-0`` or ``leeds.tar.xz/runs/ce-0``.

    Returns:
        The study's folder, ``leeds``; None if the run folder exists, or no such archive does.
    """
    study = run.parent.parent
    if run.parent.name != "runs" or is_run(run):
        return None
    if study.name.endswith(SUFFIX):
        study = study.with_name(study.name.removesuffix(SUFFIX))
    return study if study.name and archive_of(study).is_file() else None


def check_has_weights(run: Path) -> None:
    """Raise InputError if a run exists only in its study's archive, which has no weights."""
    if study := archived_study(run):
        raise InputError(f"{archive_of(study)} holds {run} without its weights")


def read_record(path: Path) -> bytes:
    """A file of a study, from its folder or else from the archive beside it.

    Args:
        path: such as ``leeds/study.json``.

    Raises:
        InputError: it is in neither.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    for folder in path.parents:
        if folder.name and archive_of(folder).is_file():
            wanted = path.relative_to(folder).as_posix()
            found = [
                content for name, content in read_archive(archive_of(folder)) if name == wanted
            ]
            if found:
                return found[0]
    raise InputError(f"{path} does not exist, and no archive beside its folder holds it")


def _run_of(name: str) -> str:
    """The run folder that a record belongs to; empty for records of the study itself."""
    parts = name.split("/")
    return "/".join(parts[:2]) if len(parts) > 2 else ""
