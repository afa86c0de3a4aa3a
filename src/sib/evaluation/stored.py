"""Evaluations that were written, read back."""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

from sib.evaluation.files import FORMAT, IMAGES, RESULT
from sib.evaluation.scores import Scores, read_scores
from sib.runs.reader import Run, is_run, read_json, read_run
from sib.utils.errors import InputError


class Evaluation(NamedTuple):
    """An evaluation and the scores behind it."""

    folder: Path
    facts: dict[str, Any]
    """``evaluation.json``."""
    scores: Scores
    """``evaluation.csv``."""
    run: Run | None
    """The run; None for an evaluation of a file of weights."""

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.resolve().name


Stored = Evaluation
"""Its name in earlier releases."""


def read_stored(folder: Path) -> Evaluation:
    """Read the evaluation in a folder.

    Raises:
        InputError: it is damaged, of another format, or its two files do not belong together.
    """
    facts = read_json(folder / RESULT)
    if facts.get("format") != FORMAT:
        raise InputError(
            f"{folder / RESULT} has format {facts.get('format')!r}, and this sib reads {FORMAT}: "
            "run sib evaluate again"
        )
    try:
        digest = hashlib.sha256((folder / IMAGES).read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(f"{folder / IMAGES} cannot be read: {error.strerror}") from None
    if digest != facts.get("images_sha256"):
        raise InputError(
            f"{folder / IMAGES} is not the file that {RESULT} beside it belongs to: run sib "
            "evaluate again"
        )
    run = read_run(folder) if is_run(folder) else None
    return Evaluation(folder, facts, read_scores(folder / IMAGES), run)
