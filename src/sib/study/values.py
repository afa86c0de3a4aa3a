"""Values of a study file, checked one by one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sib.config.yaml_file import parse_yaml
from sib.utils.errors import InputError
from sib.utils.nearest import perhaps


class Values:
    """The options of one mapping; errors name the file and the key.

    Args:
        file: the study file.
        content: the mapping.
    """

    def __init__(self, file: Path, content: dict[Any, Any]) -> None:
        self.file, self.content = file, content

    def allow(self, names: Sequence[str]) -> None:
        """Raise InputError if a key is not one of the names."""
        for key in self.content:
            if key not in names:
                meant = perhaps(str(key), names) or f"; allowed are {', '.join(names)}"
                raise InputError(f"{self.file}: {key} is not an option of a study{meant}")

    def text(self, key: str, default: str | None = None) -> str:
        """A word or a path that is not empty; required if there is no default."""
        value = self.content.get(key, default)
        if value is None and key not in self.content:
            raise InputError(f"{self.file}: {key} is missing")
        if not isinstance(value, str) or not value.strip():
            raise InputError(f"{self.file}: {key} must be text; got {value!r}")
        return value

    def choice(self, key: str, allowed: Sequence[str]) -> str:
        """One of the words; the first by default."""
        value = self.content.get(key, allowed[0])
        if value not in allowed:
            raise InputError(
                f"{self.file}: {key} must be {', '.join(allowed[:-1])} or {allowed[-1]}; got "
                f"{value!r}"
            )
        return str(value)

    def mapping(self, key: str) -> dict[Any, Any]:
        """Options in a mapping of their own; none by default."""
        value = self.content.get(key, {})
        if not isinstance(value, dict):
            raise InputError(
                f"{self.file}: {key} must hold options of its own, indented; got {value!r}"
            )
        return value

    def seeds(self, key: str, default: list[int]) -> tuple[int, ...]:
        """Distinct whole numbers, at least 0."""
        value = self.content.get(key, default)
        if not isinstance(value, list) or not value:
            raise InputError(
                f"{self.file}: {key} must be a list of at least one number, such as [0, 1, 2]; got "
                f"{value!r}"
            )
        for seed in value:
            if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
                raise InputError(
                    f"{self.file}: {key} must hold whole numbers from 0 to 2^63 - 1; got {seed!r}"
                )
        if len(set(value)) < len(value):
            raise InputError(f"{self.file}: {key} has a duplicate: {value}")
        return tuple(value)

    def count(self, key: str) -> int | None:
        """A whole number, at least 1; None by default."""
        value = self.content.get(key)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise InputError(f"{self.file}: {key} must be a whole number; got {value!r}")
        if value is not None and value < 1:
            raise InputError(f"{self.file}: {key} must be at least 1; got {value}")
        return value

    def flag(self, key: str) -> bool:
        """True or false; false by default."""
        value = self.content.get(key, False)
        if not isinstance(value, bool):
            raise InputError(f"{self.file}: {key} must be true or false; got {value!r}")
        return value

    def share(self, key: str, default: float) -> float:
        """A number in [0, 1]."""
        value = self.content.get(key, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
            raise InputError(f"{self.file}: {key} must be a number from 0 to 1; got {value!r}")
        return float(value)


def read_values(file: Path) -> tuple[str, Values]:
    """Read a study file and its options.

    Raises:
        InputError: it cannot be read, or holds no options.
    """
    try:
        text = file.read_text(encoding="utf-8")
        content = parse_yaml(text)
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise InputError(f"{file} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise InputError(f"{file} must hold `option: value` lines that describe a study")
    return text, Values(file, content)
