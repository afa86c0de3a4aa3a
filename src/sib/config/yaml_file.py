"""YAML files of options, read as plain values and within limits."""

from typing import Any

import yaml

LARGEST = 2**20
"""Bytes of a file of options."""


class _Loader(yaml.SafeLoader):
    """The safe subset without aliases: nine lines of them can stand for a billion values."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.MarkedYAMLError(problem="aliases are not read", problem_mark=mark)
        return super().compose_node(parent, index)

    def compose_mapping_node(self, anchor: Any) -> Any:
        """PyYAML lets the last of two values of one key win, in silence."""
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"{key.value!r} stands twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return node


def parse_yaml(text: str) -> Any:
    """The value that a YAML text holds, without running any code.

    Args:
        text: YAML of the safe subset, without aliases or keys that stand twice, at most 2^20
            characters.

    Raises:
        ValueError: with the reason why it is not read.
    """
    if len(text) > LARGEST:
        raise ValueError(f"it has {len(text)} characters, and options have at most {LARGEST}")
    try:
        return yaml.load(text, _Loader)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None
    except (TypeError, AttributeError, KeyError, IndexError, OverflowError) as error:
        # PyYAML lets these through from values that it cannot make, such as a date 2001-99-99
        raise ValueError(f"a value cannot be read ({error})") from None
