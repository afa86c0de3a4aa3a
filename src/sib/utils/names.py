"""Names in a sentence."""

from collections.abc import Sequence


def separated(names: Sequence[str]) -> str:
    """Names separated by commas, or by semicolons if a name has a comma of its own."""
    return ("; " if any("," in name for name in names) else ", ").join(names)
