"""The five published data sets: which folder below a root is which, and who reads it."""

from importlib import import_module
from pathlib import Path
from typing import Any

from sib.data.datasets.catalogue import CATALOGUE
from sib.data.layout import Parts, as_parts
from sib.utils.errors import InputError


def find(name: str, root: Path) -> Path | None:
    """The folder of a published set below a root, or the root itself; None if there is none.

    Raises:
        InputError: the root cannot be read.
    """
    published, matches = CATALOGUE[name], _reader(name).matches
    try:
        places = (root / place for place in (published.folder, *published.places, "."))
        return next((folder for folder in places if matches(folder)), None)
    except OSError as error:
        raise InputError(f"{error.filename or root} cannot be read: {error.strerror}") from None


def locate(name: str, root: Path) -> Path:
    """Like `find`, but raises if there is none.

    Raises:
        InputError: there is none; the sentence says which files to put where.
    """
    folder = find(name, root)
    if folder is None:
        raise InputError(
            f"root: {root} holds no {CATALOGUE[name].title}; {CATALOGUE[name].advice(name, root)}"
        )
    return folder


def read(name: str, folder: Path) -> Parts:
    """Read a published set from its folder.

    Raises:
        InputError: a problem with a file; see the reader of the set.
    """
    found = _reader(name).read(folder)
    return found if isinstance(found, Parts) else as_parts(found)


def _reader(name: str) -> Any:
    """The module that reads a set."""
    return import_module(f"sib.data.datasets.{CATALOGUE[name].reader}")
