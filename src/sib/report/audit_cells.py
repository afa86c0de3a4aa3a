"""What the classifier decided about each picture of an audit, in words."""

from typing import NamedTuple

import numpy as np

from sib.data.sample import labels_of
from sib.evaluation.audit.words import ORIGINAL, Words, is_several, words_of
from sib.evaluation.stored import Evaluation
from sib.report.audit_losses import probability
from sib.report.gallery import jpeg_uri

MAP = "occlusion"
"""An explanation that needs no gradient and can be put into words."""
MAP_TITLE = "where covering a part costs it most"


class Cell(NamedTuple):
    """One picture and the decision about it."""

    uri: str
    alt: str
    said: str
    changed: bool
    """Whether the decision differs from that for the unchanged image, although the object stays."""


def titles(columns: list[str], words: Words) -> list[str]:
    """The names of conditions in plain words."""
    return [MAP_TITLE if c == MAP else words.title(c).partition(" (")[0] for c in columns]


def cell_of(audit: Evaluation, place: int, column: str, pixels: np.ndarray) -> Cell:
    """One picture and the decision about it.

    Args:
        audit: the audit.
        place: row of its scores.
        column: the condition.
        pixels: uint8 (H, W, 3).
    """
    scores, classes, name = audit.scores, audit.facts["classes"], audit.scores.names[place]
    before = scores.predicted[place]
    named = titles([column], words_of(audit.facts))[0]
    if column == MAP:
        return Cell(jpeg_uri(pixels), f"{name}, {named}", "", False)
    if is_several(audit.facts):
        return _label_cell(audit, place, column, pixels, f"{name}, {named}")
    if column == ORIGINAL:
        after = float(*labels_of(before))
    else:
        after = scores.column(column, "predicted")[place]
    if np.isnan(after):
        return Cell("", "this change is not possible here", "", False)
    share = probability(scores, place, column)
    said = f"{classes[int(after)]} {share:.2f}"
    if column == ORIGINAL and before != scores.labels[place]:
        said += ", wrong"
    if after != before:
        said = f"{classes[int(after)]} ({classes[before]} {share:.2f})"
    marked = after != before and not column.startswith("background_alone")  # which has no object
    return Cell(jpeg_uri(pixels), f"{name}, {named}: {said}", said, marked)


def _label_cell(audit: Evaluation, place: int, column: str, pixels: np.ndarray, named: str) -> Cell:
    """One picture and the decision about one of several labels."""
    scores = audit.scores
    found = scores.column(column, "correct")[place]
    if np.isnan(found):
        return Cell("", "this change is not possible here", "", False)
    share = probability(scores, place, column)
    before = bool(scores.column(ORIGINAL, "correct")[place])
    own = share if before else 1 - share
    said = f"{'found' if found else 'not found'}, {own:.2f}"
    marked = bool(found) != before and not column.startswith("background_alone")
    return Cell(jpeg_uri(pixels), f"{named}: {said}", said, marked)
