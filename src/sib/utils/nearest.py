"""The name that was probably meant by a mistyped one; none rather than a wrong one."""

import difflib
from collections.abc import Iterable

CLOSE = 0.82
"""Least similarity, 0 to 1. At 0.8, --max-steps would be taken for --bad-steps."""


def nearest(name: str, allowed: Iterable[str]) -> str | None:
    """The allowed name that a mistyped one stands for, or None where it resembles none.

    Args:
        name: as it was typed.
        allowed: the names there are.

    Example:
        >>> nearest("trian", ["train", "evaluate"])
        'train'
        >>> nearest("max-steps", ["bad-steps"]) is None
        True
    """
    known = list(allowed)
    for each in known:
        if sorted(each) == sorted(name):  # two letters have changed places
            return each
    begun = [each for each in known if each.startswith((f"{name}-", f"{name}_"))]
    if begun:
        return min(begun, key=len)
    close = difflib.get_close_matches(name, known, n=1, cutoff=CLOSE)
    close += [each for each in known if _is_one_letter_apart(name, each)]
    return close[0] if close else None


def _is_one_letter_apart(name: str, other: str) -> bool:
    """Whether one letter was added, left out or replaced, in a name of at least three."""
    longer = max(len(name), len(other))
    blocks = difflib.SequenceMatcher(None, name, other).get_matching_blocks()
    return longer > 2 and sum(block.size for block in blocks) == longer - 1


def perhaps(name: str, allowed: Iterable[str], prefix: str = "") -> str:
    """The nearest name as a clause for a message; empty where there is none."""
    found = nearest(name, allowed)
    return "" if found is None else f", perhaps {prefix}{found}"
