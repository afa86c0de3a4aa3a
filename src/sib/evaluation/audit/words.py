"""How conditions and figures are called, for one class an image and for several labels."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sib.config.audit import FILLS
from sib.metrics.behaviour import CONDITIONS

ORIGINAL = "original"
"""Instead of a condition: the unchanged images."""


@dataclass(frozen=True)
class Words:
    """Names for tables and captions."""

    figures: dict[str, str]
    """Of figures, in the order of a table."""
    backgrounds: dict[str, str]
    """The background of each kind of condition, in two words."""
    chance: str
    """The row of guessing."""
    titles: dict[str, str] = field(default_factory=dict)
    """Names of the kinds of condition that differ from those in `CONDITIONS`."""

    def short(self, condition: str) -> str:
        """A condition in a few words."""
        kind, fill = _parts(condition)
        return f"{self.backgrounds.get(kind, kind)}{f', {fill}' if fill else ''}"

    def title(self, condition: str) -> str:
        """A condition in words."""
        if condition == ORIGINAL:
            return "as it is"
        kind, fill = _parts(condition)
        if kind in self.titles:
            return f"{self.titles[kind]}{f' ({fill})' if fill else ''}"
        return CONDITIONS[condition].title


SINGLE = Words(
    {
        "accuracy": "accuracy",
        "changed": "decisions changed",
        "log_odds_change": "log-odds change",
        "worst_class": "worst class",
        "worst_group": "worst group",
    },
    {
        "original": "as it is",
        "exchanged": "other class",
        "same_class": "same class",
        "blurred": "blurred",
        "greyed": "without colour",
        "noised": "with noise",
        "object_alone": "none: object alone",
        "background_alone": "no object",
    },
    "  chance",
)
SEVERAL = Words(
    {
        "accuracy": "labels found",
        "changed": "decisions changed",
        "added": "labels added",
        "log_odds_change": "log-odds change",
        "worst_class": "worst label",
        "worst_group": "worst group",
    },
    SINGLE.backgrounds
    | {
        "exchanged": "no such label",
        "same_class": "same label",
        "object_alone": "none: its object alone",
        "background_alone": "its object removed",
    },
    "  by guessing",
    {
        "exchanged": "background of an image without the label",
        "same_class": "background of another image with the label",
        "object_alone": "the label's objects alone",
        "background_alone": "without the label's objects",
    },
)


def words_of(facts: Mapping[str, Any]) -> Words:
    """The words for an audit, from its ``audit.json``."""
    return SEVERAL if is_several(facts) else SINGLE


def is_several(facts: Mapping[str, Any]) -> bool:
    """Whether an audit is about several labels an image."""
    return bool(facts.get("label_kind") == "multi")


def _parts(condition: str) -> tuple[str, str]:
    """The kind of a condition and its way of filling, empty if it has none."""
    kind, _, fill = condition.rpartition("_")
    return (kind, fill) if fill in FILLS else (condition, "")
