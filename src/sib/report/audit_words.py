"""The verdict of an audit, in plain words."""

from typing import Any, Literal, NamedTuple

import numpy as np

from sib.evaluation.audit.figures import SMALLEST, images_of, most_decided, over_fills
from sib.evaluation.audit.words import ORIGINAL, is_several
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
}
UNKNOWN = "The audit cannot tell what it decides by"


class Verdict(NamedTuple):
    """What follows from the figures."""

    level: Level
    headline: str
    brief: str
    """The headline for a table: without the reason why there is no verdict."""
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
    filling; accuracy cannot fall by more. With several labels an image, it is the share of the
    decisions about their labels, and recall cannot fall by more. If its 95 % interval includes a
    limit between two verdicts, there is none. A classifier decides by the background only if the
    background alone allows it to, see `reads_background`.

    Args:
        audit: the audit.
    """
    reliance, reads = reliance_of(audit), reads_background(audit)
    level: Level = "unknown"
    headline, brief, low = f"{UNKNOWN}: {_unknown(audit, reliance)}.", f"{UNKNOWN}.", None
    if reliance is not None and _can_be_judged(audit, reliance, reads):
        low, high = (_level(share, reads) for share in (reliance.low, reliance.high))
        level, headline, brief = low, HEADLINES[low], HEADLINES[low]
        if low != high:
            level, headline = "undecided", _undecided(reliance, low, high)
            brief = f"Undecided: it {DECISIONS[low]}, or {DECISIONS[high]}."
    found = advice(audit, level, low, reads is True, _worst(audit.facts))
    return Verdict(level, headline, brief, _sentences(audit), found)


def reliance_of(audit: Evaluation) -> Reliance | None:
    """The reliance with its 95 % interval; None if no such change was audited."""
    for kind in ("exchanged", "object_alone"):
        changed = over_fills(audit.scores, kind, "changed")
        if changed is not None and np.isfinite(changed).any():
            known = np.isfinite(changed)
            images = _count_images(audit, known)
            return Reliance(*share_interval(float(changed[known].mean()), images), images, kind)
    return None


def reads_background(audit: Evaluation) -> bool | None:
    """Whether backgrounds alone surely move its decisions; None if they were not audited.

    They do if it is right about them more often than by guessing. In a set whose backgrounds are
    independent of the class, nothing can be. There, they do if it decides as about the whole image
    more often than by always naming its most frequent decision.

    With several labels an image, the image without a label's objects is audited, and only the first
    of the two counts: guessing is how often that label is found in images without it.
    """
    right = over_fills(audit.scores, "background_alone", "correct")
    changed = over_fills(audit.scores, "background_alone", "changed")
    if right is None or changed is None or not np.isfinite(right).any():
        return None
    known = np.isfinite(right)
    compared = [(right, guessing(audit.facts))]
    if not is_several(audit.facts):
        compared.append((1 - changed, most_decided(audit.scores)))
    images = _count_images(audit, known)
    return any(
        share_interval(float(values[known].mean()), images)[0] > chance
        for values, chance in compared
    )


def _count_images(audit: Evaluation, known: np.ndarray) -> int:
    """Number of images among the known rows; the labels of an image are not independent."""
    images = images_of(audit.scores)
    return int(known.sum()) if images is None else len(np.unique(images[known]))


def _can_be_judged(audit: Evaluation, reliance: Reliance, reads: bool | None) -> bool:
    """Whether it is surely better than guessing, or follows the background instead."""
    own = mean_of(audit.facts, ORIGINAL)
    if own is None or audit.facts["scored"] < SMALLEST:
        return False
    low, _ = share_interval(own, audit.facts["scored"])
    return low > guessing(audit.facts) or (reliance.low >= MOSTLY and reads is True)


def _unknown(audit: Evaluation, reliance: Reliance | None) -> str:
    """Why there is no verdict."""
    own, scored = mean_of(audit.facts, ORIGINAL), audit.facts["scored"]
    if reliance is None:
        return "no condition exchanged or removed the background"
    if own is None or scored < SMALLEST:
        return f"{scored} images are too few"
    guess = of_100(guessing(audit.facts))
    return f"it is right for {of_100(own)}, which is not surely better than guessing, {guess}"


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
    """Accuracy of always naming the most frequent class, or of chance if that is higher.

    With several labels an image, see `chance_recall`; 1, which nothing exceeds, if it is unknown.
    """
    if facts["chance"] is None:
        return 1.0
    return float(max(facts["chance"], facts.get("majority", 0)))


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
    several = is_several(facts)
    own, exchanged = mean_of(facts, ORIGINAL), mean_of(facts, "exchanged")
    found = [facts["foreground_words"]] * bool(facts["foreground_words"])
    if own is not None:
        what = "It finds {} labels." if several else "It names the right class for {} images."
        found.append(what.format(of_100(own)))
    if own is not None and exchanged is not None:
        moves = "stays at" if abs(own - exchanged) < 0.015 else "falls to"
        moves = moves if exchanged < own + 0.015 else "rises to"
        changed = mean_of(facts, "exchanged", "changed")
        other = "without the label" if several else "of another class"
        found.append(
            f"In front of the background of an image {other}, that {moves} "
            f"{of_100(exchanged)}, and {of_100(changed or 0)} decisions change."
        )
    if reliance is not None:
        found.append(f"With 95 % confidence from {reliance.images} images, {reliance}.")
    alone = mean_of(facts, "object_alone")
    if alone is not None:
        shown = (
            "a label's objects alone, it finds" if several else "the object alone, it is right for"
        )
        found.append(f"Shown {shown} {of_100(alone)}.")
    added = mean_of(facts, "exchanged", "added")
    if added is not None:
        found.append(f"A foreign background adds a label to {of_100(added)} images.")
    background = mean_of(facts, "background_alone")
    if background is not None and several:
        found.append(
            f"With a label's objects taken out of the image, it still finds that label in "
            f"{of_100(background)}. In images without the label, it finds it in "
            f"{of_100(guessing(facts))}: more than that comes from the rest of the image, other "
            "objects included."
        )
    elif background is not None:
        same = 1 - (mean_of(facts, "background_alone", "changed") or 0)
        found.append(
            f"Shown the background alone, with the object taken out, it is right for "
            f"{of_100(background)}; guessing gives {of_100(guessing(facts))}. For {of_100(same)} "
            "its decision is the one about the whole image; always naming its most frequent class "
            f"would give {of_100(most_decided(audit.scores))}."
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
