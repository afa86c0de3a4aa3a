"""What to do after an audit, in plain words."""

from typing import Any

from sib.evaluation.audit.figures import SMALLEST
from sib.evaluation.audit.words import is_several
from sib.evaluation.stored import Evaluation
from sib.objectives.registry import METHODS, training_title

ALONE = (
    "The background alone still decides something. That is harmless while the object is in view; "
    "do not show it images without one."
)
ALONE_SEVERAL = (
    "Some labels are found without their objects, by other objects or by the background. That is "
    "harmless while the objects are in view; do not rely on it where they are not."
)


def advice(
    audit: Evaluation, level: str, surely: str | None, reads: bool, worst: dict[str, Any] | None
) -> list[str]:
    """What to do.

    Args:
        audit: the audit.
        level: its verdict.
        surely: the verdict at the lower end of the interval; None if there is none.
        reads: whether backgrounds alone surely move its decisions.
        worst: the worst class or group, if there is one.
    """
    if level == "unknown":
        return [_reason(audit.facts)]
    if level == "object":
        alone = ALONE_SEVERAL if is_several(audit.facts) else ALONE
        return [
            "Nothing has to change because of the background.",
            *[alone] * reads,
            "Repeat the audit when the data, the camera or the place of use change.",
        ]
    found = []
    if level == "undecided":
        found.append(
            "Audit more images: four times as many halve the interval. Until then, do not conclude "
            "anything from the verdict about this classifier, nor from comparing it with others."
        )
        if surely == "object":
            return found
    return found + _remedies(audit, worst)


def _reason(facts: dict[str, Any]) -> str:
    if facts["scored"] < SMALLEST:
        return (
            f"Only {facts['scored']} images could be audited. Audit at least {SMALLEST}, better "
            "some hundred."
        )
    return (
        "It is not surely better than guessing, or no condition with a changed background was part "
        "of the audit. Train it further, or audit more images, or with all conditions."
    )


def _remedies(audit: Evaluation, worst: dict[str, Any] | None) -> list[str]:
    found = [
        "Do not rely on it where backgrounds differ from those of its training images.",
        "Look at the images above where it relies on the background most: what do their "
        "backgrounds have in common?",
    ]
    if worst is not None:
        found.append(f"Collect training images for {worst['name']}, in front of many backgrounds.")
    return [*found, f"{_training(audit)} Then compare: sib audit OLD NEW."]


def _training(audit: Evaluation) -> str:
    """A way of training that differs from the classifier's own."""
    config = audit.run.config if audit.run else {}
    method, guided = config.get("method"), config.get("guided_share")
    if method == "sib" and not guided:
        return (
            "It was trained with S-IB already. Train again guided by masks of the object, if there "
            "are any (--guided-share 1), or with more images that have other backgrounds."
        )
    if method == "sib" or (method in METHODS and METHODS[method].needs_foreground):
        return (
            f"It was trained with {training_title(config)} already. Train again with more images, "
            "of the same objects in front of other backgrounds."
        )
    return (
        "Train again with an objective that draws decisions to the object (sib train --method sib, "
        "or energy and rrr where foregrounds are known)."
    )
