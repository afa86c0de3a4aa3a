"""The names that were probably meant by a mistyped one; none rather than a wrong one."""

import difflib
from collections.abc import Iterable

CLOSE = 0.82
"""Least similarity, 0 to 1. At 0.8, --max-steps would be taken for --bad-steps."""


def nearest(name: str, allowed: Iterable[str], count: int = 1) -> list[str]:
    """The allowed names that a mistyped one may stand for, the likeliest first.

    A name may stand for one that has two letters exchanged, for one that it begins (``conv`` for
    ``conv-1``), for one that it ends (``resnet18`` for ``cub200/resnet18``), for similar ones and
    for those that differ by one letter.

    Args:
        name: as it was typed.
        allowed: the names there are.
        count: how many names are returned at most.

    Example:
        >>> nearest("trian", ["train", "evaluate"])
        ['train']
        >>> nearest("max-steps", ["bad-steps"])
        []
    """
    known = list(allowed)
    exchanged = [each for each in known if sorted(each) == sorted(name)]
    begun = [each for each in known if each.startswith((f"{name}-", f"{name}_", f"{name}/"))]
    ended = [each for each in known if each.endswith((f".{name}", f"/{name}"))]
    close = difflib.get_close_matches(name, known, n=count, cutoff=CLOSE)
    apart = [each for each in known if _is_one_letter_apart(name, each)]
    likely = [*exchanged, *sorted(begun, key=len), *sorted(ended, key=len), *close, *apart]
    return list(dict.fromkeys(likely))[:count]


def _is_one_letter_apart(name: str, other: str) -> bool:
    """Whether one letter was added, left out or replaced, in a name of at least three."""
    longer = max(len(name), len(other))
    if longer < 3 or abs(len(name) - len(other)) > 1:
        return False
    blocks = difflib.SequenceMatcher(None, name, other).get_matching_blocks()
    return sum(block.size for block in blocks) == longer - 1


def perhaps(name: str, allowed: Iterable[str], prefix: str = "", count: int = 1) -> str:
    """The nearest names as a clause for a message; empty where there is none.

    Example:
        >>> perhaps("resnet81", ["resnet18", "vgg16"])
        ', perhaps resnet18'
    """
    found = nearest(name, allowed, count)
    return f", perhaps {' or '.join(prefix + each for each in found)}" if found else ""
