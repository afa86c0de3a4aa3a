"""Load an annotation file's content, with limits on its size and without running anything."""

import json
from pathlib import Path
from typing import Any, NoReturn

from sib.data.readers.annotation import parse_xml
from sib.utils.errors import InputError

LARGEST = {".json": 2**28, ".xml": 2**26, ".txt": 2**24, ".csv": 2**28, ".tsv": 2**28}
"""Most bytes of a file, by its ending."""


def load(path: Path) -> Any:
    """The content of a file: an element of XML, a value of JSON, or text.

    Args:
        path: whose ending is one of `LARGEST`.

    Raises:
        InputError: the file cannot be read, is too large, or is not what its ending says.
    """
    ending = path.suffix.lower()
    if ending == ".xml":
        return parse_xml(path, LARGEST[ending])
    found = load_text(path, LARGEST[ending])
    return _json(found, path) if ending == ".json" else found


def load_text(path: Path, largest: int = LARGEST[".csv"]) -> str:
    """The text of a file in UTF-8.

    Raises:
        InputError: the file cannot be read, has more than ``largest`` bytes, or is not such text.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(largest + 1)
        if len(content) > largest:
            raise InputError(f"{path} has more than {largest} bytes, too many for annotations")
        return content.decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not a text file in UTF-8") from None


def _json(content: str, path: Path) -> Any:
    try:
        return json.loads(content, parse_constant=_refuse)
    except RecursionError:
        raise InputError(f"{path} is not valid JSON: it is nested too deeply") from None
    except ValueError as error:
        raise InputError(f"{path} is not valid JSON: {error}") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number of JSON")
