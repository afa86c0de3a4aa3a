"""Does a classifier use the object? How its decisions change with the background.

Maps show where the gradient lies, and they can change without changing a single decision. These
functions test the classifier itself. `behaviour_of` audits it over a data set, and
`label_behaviour_of` does so with several labels an image. `summarise` computes the figures, and
`values_of` the values of each image for intervals and paired differences.
"""

from sib.metrics.behaviour.audit import Table, behaviour_of
from sib.metrics.behaviour.backgrounds import (
    before_background,
    blur_background,
    grey_background,
    keep_object,
    noise_background,
)
from sib.metrics.behaviour.conditions import CONDITIONS, MEASURES, Condition, Measure
from sib.metrics.behaviour.decision import Worst, log_odds, worst_accuracy
from sib.metrics.behaviour.fill import FILLS, remove_object
from sib.metrics.behaviour.inputs import Batches
from sib.metrics.behaviour.several import label_behaviour_of
from sib.metrics.behaviour.summary import chance_recall, conditions_of, summarise, values_of

__all__ = [
    "CONDITIONS",
    "FILLS",
    "MEASURES",
    "Batches",
    "Condition",
    "Measure",
    "Table",
    "Worst",
    "before_background",
    "behaviour_of",
    "blur_background",
    "chance_recall",
    "conditions_of",
    "grey_background",
    "keep_object",
    "label_behaviour_of",
    "log_odds",
    "noise_background",
    "remove_object",
    "summarise",
    "values_of",
    "worst_accuracy",
]


def __dir__() -> list[str]:
    return sorted(__all__)
