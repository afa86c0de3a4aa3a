"""Libraries that only a part of the package needs."""

from importlib import import_module
from typing import Any

from sib.utils.errors import InputError


class MissingLibraryError(InputError, ImportError):
    """A library that an optional part needs is not installed."""


def import_optional(module: str, extra: str) -> Any:
    """Import a module of a library that an extra of the package brings.

    Args:
        module: full name, as ``"captum.attr"``.
        extra: name of the extra, as ``"explain"``.

    Returns:
        The module.

    Raises:
        MissingLibraryError: the library is not installed; the sentence names the extra.
    """
    library = module.partition(".")[0]
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != library:  # the library is there, but something that it needs is not
            raise
        raise MissingLibraryError(
            f'this needs {library}, which is not installed: pip install "sib[{extra}]"'
        ) from None
