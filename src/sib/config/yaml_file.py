"""YAML files of options, read as plain values and within limits."""

import re
from typing import Any

import yaml

LARGEST = 2**20
"""Largest size of a file of options."""
NUMBERS = {
    "tag:yaml.org,2002:int": re.compile(
        r"[-+]?(?:0b[01_]+|0[0-7_]+|0|[1-9][0-9_]*|0x[0-9a-fA-F_]+)$"
    ),
    "tag:yaml.org,2002:float": re.compile(
        r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?"
        r"|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?|\.(?:inf|Inf|INF))$|\.(?:nan|NaN|NAN)$"
    ),
}
"""How numbers are written: as in YAML 1.1, but without the base 60."""


class _Loader(yaml.SafeLoader):
    """The safe subset without aliases: nine lines of aliases can expand to a billion values."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.MarkedYAMLError(problem="aliases are not read", problem_mark=mark)
        return super().compose_node(parent, index)

    def compose_mapping_node(self, anchor: Any) -> Any:
        """Refuse a key that occurs twice: PyYAML silently keeps the last value."""
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"{key.value!r} is duplicated", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return node


# 1:30 is ninety in YAML 1.1, and text in YAML 1.2, as for people
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in rules if tag not in NUMBERS]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _tag, _pattern in NUMBERS.items():
    _Loader.add_implicit_resolver(_tag, _pattern, list("-+0123456789."))


def parse_yaml(text: str) -> Any:
    """The value of a YAML text, read without running any code.

    Args:
        text: YAML of the safe subset, without aliases or duplicate keys, at most 2^20 characters.

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
        # PyYAML passes these on for values that it cannot construct, such as a date 2001-99-99
        raise ValueError(f"a value cannot be read ({error})") from None
