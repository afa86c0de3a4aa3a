"""Whether what a command will write can be written, before it spends time on it."""

import os
from pathlib import Path

from sib.utils.errors import InputError


def check_output_folder(path: Path, option: str = "--out") -> None:
    """Raise InputError unless a path is a folder that can be written, or can become one.

    Nothing is created.

    Args:
        path: of the folder.
        option: names it in the message.
    """
    nearest = _nearest(path, option)
    if nearest == path and not path.is_dir():
        raise InputError(f"{option} {path} is a file; give a folder")
    _check_writable(path, nearest, option)


def check_output_file(path: Path, option: str = "--out") -> None:
    """Raise InputError unless a path is a file that can be replaced, or can become one."""
    try:
        is_folder = path.is_dir()
    except OSError as error:
        raise InputError(f"{option} {path} cannot be used: {error.strerror}") from None
    if is_folder:
        raise InputError(f"{option} {path} is a folder; give the name of a file")
    _check_writable(path, _nearest(path.absolute().parent, option), option)


def _nearest(path: Path, option: str) -> Path:
    """The path itself if there is anything, else the nearest folder or file above it."""
    try:
        return next(each for each in (path, *path.absolute().parents) if _is_there(each))
    except OSError as error:
        raise InputError(f"{option} {path} cannot be used: {error.strerror}") from None


def _check_writable(path: Path, nearest: Path, option: str) -> None:
    if not nearest.is_dir():
        raise InputError(f"{option} {path} cannot be created, as {nearest} is a file")
    if not os.access(nearest, os.W_OK | os.X_OK):
        where = "" if nearest == path else f", as {nearest} may not be written"
        raise InputError(f"{option} {path} cannot be written{where}")


def _is_there(path: Path) -> bool:
    """Whether there is anything at a path, also a link to nothing, which blocks a new folder."""
    return path.exists() or path.is_symlink()
