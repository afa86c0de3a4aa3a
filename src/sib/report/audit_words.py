"""The verdict of an audit, in plain words."""

from typing import Any, Literal, NamedTuple

import numpy as np

from sib.evaluation.audit.figures import ORIGINAL, SMALLEST, most_decided, over_fills
from sib.evaluation.statistics import share_interval
from sib.evaluation.stored import Evaluation
from sib.report.audit_advice import advice

Level = Literal["object", "partly", "background", "disturbed", "undecided", "unknown"]
PARTLY, MOSTLY = 0.1, 0.5
"""Reliance above which a classifier decides partly, and mostly, by the background."""
DECISIONS = {
    "object": "decides by the object",
    "partly": "decides in part by the background",
    "background": "decides mostly by the background",
    "disturbed": "is disturbed by foreign backgrounds",
}
HEADLINES = {
    "object": "It decides by the object.",
    "partly": "It decides by the object, and in part by the background.",
    "background": "It decides mostly by the background.",
    "disturbed": "Foreign backgrounds disturb it.",
    "unknown": "The audit cannot tell what it decides by.",
}


class Verdict(NamedTuple):
    """What follows from the figures."""

    level: Level
    headline: str
    sentences: list[str]
    advice: list[str]


class Reliance(NamedTuple):
    """The share of decisions that a change of the background changes."""

    low: float
    high: float
    images: int
    kind: str
    """The change: ``"exchanged"``, or ``"object_alone"`` if that was not audited."""

    def __str__(self) -> str:
        changes = "foreign backgrounds change"
        if self.kind == "object_alone":
            changes = "taking the background away changes"
        return f"{changes} between {round(100 * self.low)} and {of_100(self.high)} decisions"


def verdict(audit: Evaluation) -> Verdict:
    """The verdict of an audit.

    Reliance is the share of decisions that exchanged backgrounds change, a mean over the ways of
    filling; accuracy cannot fall by more. If its 95 % interval includes a limit between two
    verdicts, there is none. A classifier decides by the background only if the background alone
    allows it to, see `reads_background`.

    Args:
        audit: the audit.
    """
    reliance, reads = reliance_of(audit), reads_background(audit)
    level: Level = "unknown"
    headline, low = HEADLINES[level], None
    if reliance is not None and _can_be_judged(audit, reliance, reads):
        low, high = (_level(share, reads) for share in (reliance.low, reliance.high))
        level = low if low == high else "undecided"
        headline = HEADLINES[low] if low == high else _undecided(reliance, low, high)
    found = advice(audit, level, low, reads is True, _worst(audit.facts))
    return Verdict(level, headline, _sentences(audit), found)


def reliance_of(audit: Evaluation) -> Reliance | None:
    """The reliance with its 95 % interval; None if no such change was audited."""
    for kind in ("exchanged", "object_alone"):
        changed = over_fills(audit.scores, kind, "changed")
        if changed is not None and np.isfinite(changed).any():
            known = changed[np.isfinite(changed)]
            return Reliance(*share_interval(float(known.mean()), len(known)), len(known), kind)
    return None


def reads_background(audit: Evaluation) -> bool | None:
    """Whether backgrounds alone surely move its decisions; None if they were not audited.

    They do if it is right about them more often than by guessing. In a set whose backgrounds are
    independent of the class, nothing can be. There, they do if it decides as about the whole image
    more often than by always naming its most frequent decision.
    """
    right = over_fills(audit.scores, "background_alone", "correct")
    changed = over_fills(audit.scores, "background_alone", "changed")
    if right is None or changed is None or not np.isfinite(right).any():
        return None
    known = np.isfinite(right)
    return any(
        share_interval(float(values[known].mean()), int(known.sum()))[0] > chance
        for values, chance in (
            (right, guessing(audit.facts)),
            (1 - changed, most_decided(audit.scores)),
        )
    )


def _can_be_judged(audit: Evaluation, reliance: Reliance, reads: bool | None) -> bool:
    """Whether it is surely better than guessing, or follows the background instead."""
    own = mean_of(audit.facts, ORIGINAL)
    if own is None or audit.facts["scored"] < SMALLEST:
        return False
    low, _ = share_interval(own, audit.facts["scored"])
    return low > guessing(audit.facts) or (reliance.low >= MOSTLY and reads is True)


def _level(share: float, reads: bool | None) -> Level:
    if share < PARTLY:
        return "object"
    if not reads:
        return "disturbed"
    return "partly" if share < MOSTLY else "background"


def _undecided(reliance: Reliance, low: Level, high: Level) -> str:
    return (
        f"The audit cannot tell with {reliance.images} images whether it {DECISIONS[low]} or "
        f"{DECISIONS[high]}: {reliance}. Audit more images."
    )


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


def _sentences(audit: Evaluation) -> list[str]:
    facts, reliance = audit.facts, reliance_of(audit)
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
    if reliance is not None:
        found.append(f"With 95 % confidence from {reliance.images} images, {reliance}.")
    alone = mean_of(facts, "object_alone")
    if alone is not None:
        found.append(f"Shown the object alone, it is right for {of_100(alone)}.")
    background = mean_of(facts, "background_alone")
    if background is not None:
        same = 1 - (mean_of(facts, "background_alone", "changed") or 0)
        found.append(
            f"Shown the background alone, with the object taken out, it is right for "
            f"{of_100(background)}; guessing gives {of_100(guessing(facts))}. It decides as about "
            f"the whole image for {of_100(same)}; always naming its most frequent class gives "
            f"{of_100(most_decided(audit.scores))}."
        )
    elif reliance is not None and reliance.low >= PARTLY:
        found.append(
            "Backgrounds alone were not audited, so it is unknown whether it decides by them."
        )
    worst = _worst(facts)
    if worst is not None:
        found.append(
            f"It does worst on {worst['name']}: {of_100(worst['mean'])} of its "
            f"{worst['images']} images."
        )
    return found


def _worst(facts: dict[str, Any]) -> dict[str, Any] | None:
    row = facts["conditions"][ORIGINAL]
    worst = row["worst_group"] or row["worst_class"]
    return worst if worst["name"] is not None else None


def of_100(share: float) -> str:
    """A share in the form "so many of 100"."""
    return f"{round(100 * share)} of 100"
