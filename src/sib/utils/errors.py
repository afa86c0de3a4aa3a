"""Errors that the command line turns into one sentence and an exit code."""

from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


class InputError(ValueError):
    """Bad input, reported in one sentence that names the file or argument and what is allowed.

    The command line prints the sentence without a traceback and exits with code 2.

    Example:
        >>> import sib
        >>> try:
        ...     sib.data.open_data("no/such/folder")
        ... except sib.InputError as error:
        ...     print(error)
        data: no/such/folder does not exist, and is not one of digits, ...
    """


class ProblemsFound(Exception):
    """Some of the work failed, and what failed was reported."""


class TrainingFailed(RuntimeError):
    """The run cannot continue; what was saved before stays."""


class ReaderDied(RuntimeError):
    """A process that reads images ended early, for example because memory ran out."""


class ProcessLost(RuntimeError):
    """Another process of the run ended without a word; what was saved before stays."""


def sift(items: Iterable[T], look: Callable[[T], object]) -> tuple[list[T], list[str]]:
    """The items that a look raises no InputError for, and what it says about the others."""
    kept, problems = [], []
    for item in items:
        try:
            look(item)
            kept.append(item)
        except InputError as error:
            problems.append(str(error))
    return kept, problems
