"""The verdict of an audit, in plain words."""

from typing import Any, Literal, NamedTuple

import numpy as np

from sib.evaluation.audit.figures import ORIGINAL, SMALLEST

Level = Literal["object", "partly", "background", "unknown"]
PARTLY, MOSTLY = 0.1, 0.5
"""Reliance above which a classifier decides partly, and mostly, by the background."""
LEAST_SKILL = 0.05
"""Accuracy above guessing that a verdict requires."""
HEADLINES = {
    "object": "It decides by the object.",
    "partly": "It decides by the object, and in part by the background.",
    "background": "It decides mostly by the background.",
    "unknown": "The audit cannot tell what it decides by.",
}


class Verdict(NamedTuple):
    """What follows from the figures."""

    level: Level
    headline: str
    sentences: list[str]
    advice: list[str]


def verdict(facts: dict[str, Any]) -> Verdict:
    """The verdict of an audit.

    Let a be the accuracy on the unchanged images, e before exchanged backgrounds, and g that of
    guessing. Reliance is the share of decisions that exchanged backgrounds change, or the share
    (a − e) / (a − g) of skill that is lost with them, if that is larger. All are means over the
    ways of filling. If backgrounds are independent of the class, decisions change although accuracy
    does not fall.

    Args:
        facts: the content of ``audit.json``.
    """
    level = _level(facts) if facts["scored"] >= SMALLEST else "unknown"
    return Verdict(level, HEADLINES[level], _sentences(facts), _advice(facts, level))


def _level(facts: dict[str, Any]) -> Level:
    kind = "exchanged" if mean_of(facts, "exchanged") is not None else "object_alone"
    own, after = mean_of(facts, ORIGINAL), mean_of(facts, kind)
    if own is None or after is None:
        return "unknown"
    reliance, skill = mean_of(facts, kind, "changed") or 0.0, own - guessing(facts)
    if skill >= LEAST_SKILL:
        reliance = max(reliance, (own - after) / skill)
    elif reliance < MOSTLY:
        return "unknown"
    if reliance < PARTLY:
        return "object"
    return "partly" if reliance < MOSTLY else "background"


def guessing(facts: dict[str, Any]) -> float:
    """Accuracy of always naming the most frequent class, or of chance if that is higher."""
    return float(max(facts["chance"], facts["majority"]))


def mean_of(facts: dict[str, Any], kind: str, figure: str = "accuracy") -> float | None:
    """A figure for a kind of condition, averaged over its ways of filling; None if it has none."""
    values = [
        row[figure]["mean"]
        for name, row in facts["conditions"].items()
        if (name == kind or name.rpartition("_")[0] == kind) and row.get(figure) is not None
    ]
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _sentences(facts: dict[str, Any]) -> list[str]:
    own, exchanged = mean_of(facts, ORIGINAL), mean_of(facts, "exchanged")
    found = [facts["foreground_words"]] * bool(facts["foreground_words"])
    if own is not None:
        found.append(f"It names the right class for {of_100(own)} images.")
    if own is not None and exchanged is not None:
        moves = "stays at" if abs(own - exchanged) < 0.015 else "falls to"
        moves = moves if exchanged < own + 0.015 else "rises to"
        changed = mean_of(facts, "exchanged", "changed")
        found.append(
            f"Before the background of an image of another class, that {moves} "
            f"{of_100(exchanged)}, and {of_100(changed or 0)} decisions change."
        )
    alone = mean_of(facts, "object_alone")
    if alone is not None:
        found.append(f"Shown the object alone, it is right for {of_100(alone)}.")
    background = mean_of(facts, "background_alone")
    if background is not None:
        found.append(
            f"Shown the background alone, with the object taken out, it is right for "
            f"{of_100(background)}; guessing gives {of_100(guessing(facts))}."
        )
    worst = _worst(facts)
    if worst is not None:
        found.append(
            f"It does worst on {worst['name']}: {of_100(worst['mean'])} of its "
            f"{worst['images']} images."
        )
    return found


def _advice(facts: dict[str, Any], level: Level) -> list[str]:
    worst = _worst(facts)
    if level == "unknown":
        few = facts["scored"] < SMALLEST
        reason = (
            f"Only {facts['scored']} images could be audited. Audit at least {SMALLEST}, better "
            "some hundred."
            if few
            else "It hardly does better than guessing, or no condition with a changed background "
            "was part of the audit. Train it further, or audit with all conditions."
        )
        return [reason]
    if level == "object":
        background = mean_of(facts, "background_alone")
        found = ["Nothing has to change because of the background."]
        if background is not None and background > guessing(facts) + PARTLY:
            found.append(
                "The background alone still tells it something. That is harmless while the object "
                "is in view; do not show it images without one."
            )
        return [*found, "Repeat the audit when the data, the camera or the place of use change."]
    found = [
        "Do not rely on it where backgrounds differ from those of its training images.",
        "Look at the images above where it relies on the background most: what do their "
        "backgrounds have in common?",
    ]
    if worst is not None:
        found.append(f"Collect training images for {worst['name']}, before many backgrounds.")
    found.append(
        "Train again with an objective that draws decisions to the object (sib train --method sib, "
        "or energy and rrr where foregrounds are known), and compare: sib audit OLD NEW."
    )
    return found


def _worst(facts: dict[str, Any]) -> dict[str, Any] | None:
    row = facts["conditions"][ORIGINAL]
    worst = row["worst_group"] or row["worst_class"]
    return worst if worst["name"] is not None else None


def of_100(share: float) -> str:
    """A share in the form "so many of 100"."""
    return f"{round(100 * share)} of 100"
