"""Names of classes that look alike: one folder copied from another system often becomes two."""

import re
import unicodedata
from collections.abc import Iterable, Sequence


def alike_names(classes: Sequence[str]) -> list[list[str]]:
    """Groups of names that differ in case, white space, dots at the end or Unicode form alone.

    Returns:
        The names in quotes; with the codes of their letters if they look the same.

    Example:
        >>> alike_names(["cat", "Cat", "dog"])
        [["'cat'", "'Cat'"]]
    """
    groups: dict[str, list[str]] = {}
    for name in classes:
        groups.setdefault(_plain(name), []).append(name)
    return [quoted(names) for names in groups.values() if len(names) > 1]


def quoted(names: Sequence[str]) -> list[str]:
    """Names in quotes, with the codes of their letters if two of them look the same."""
    looks = {unicodedata.normalize("NFC", name) for name in names}
    return [ascii(name) if len(looks) < len(names) else repr(name) for name in names]


def alike_groups(groups: Iterable[str]) -> list[list[str]]:
    """Names of groups that also become equal as numbers: tables write 7 as ``7.0`` or ``007``.

    Example:
        >>> alike_groups(["7", "7.0", "P1", "p1", "8"])
        [["'7'", "'7.0'"], ["'P1'", "'p1'"]]
    """
    found: dict[str, list[str]] = {}
    for name in dict.fromkeys(groups):
        found.setdefault(_number(_plain(name)), []).append(name)
    return [quoted(names) for names in found.values() if len(names) > 1]


def _plain(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split()).rstrip(". ")


def _number(name: str) -> str:
    """A whole number without leading zeros and decimals; any other name unchanged."""
    found = re.fullmatch(r"(\d+)(?:\.0*)?", name)
    return (found[1].lstrip("0") or "0") if found else name
