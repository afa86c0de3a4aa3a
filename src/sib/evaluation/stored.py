"""Evaluations and audits on disk: two files in a folder that belong together."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from sib.evaluation.scores import Scores, read_scores, to_csv
from sib.runs.reader import Run, is_run, read_json, read_run
from sib.utils.errors import InputError
from sib.utils.files import sha256_of, write_together

MAP = "map_macro"
"""The main figure where an image has several labels."""


FOREGROUNDS = "foregrounds"
"""Among the options of an evaluation: which foregrounds its annotation gave; not one of the
command's own options."""


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


TRAINED_ON = "trained_on"
"""Key of the sentence about measured images that the classifier was trained on."""
Stored = Evaluation
"""Name in earlier releases."""


class FilePair(NamedTuple):
    """A JSON file of facts about a classifier, with the checksum of a CSV file of its scores.

    Evaluations and audits are both stored this way.
    """

    command: str
    """The command that writes them, for messages."""
    result: str
    """Name of the JSON file of facts."""
    images: str
    """Name of the CSV file of scores, with one line per image."""
    format: int

    def exists(self, folder: Path) -> bool:
        """Whether a folder holds such facts."""
        return (folder / self.result).is_file()

    def save(self, folder: Path, scores: Scores, facts: dict[str, Any]) -> None:
        """Write both files, the facts last; the checksum is added to them.

        Raises:
            InputError: the folder cannot be written; earlier files stay.
        """
        text = to_csv(scores)
        facts["images_sha256"] = hashlib.sha256(text.encode()).hexdigest()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            result = json.dumps(facts, indent=1, ensure_ascii=False)
            write_together({folder / self.images: text, folder / self.result: result})
        except OSError as error:
            raise InputError(f"{folder} cannot be written: {error.strerror}") from None

    def read(self, folder: Path) -> Evaluation:
        """Read both files.

        Raises:
            InputError: a file is damaged or of another format, or they do not belong together.
        """
        facts, images = read_json(folder / self.result), folder / self.images
        if facts.get("format") != self.format:
            raise InputError(
                f"{folder / self.result} has format {facts.get('format')!r}, and this sib reads "
                f"{self.format}: run {self.command} again"
            )
        try:
            digest = sha256_of(images)
        except OSError as error:
            raise InputError(f"{images} cannot be read: {error.strerror}") from None
        if digest != facts.get("images_sha256"):
            raise InputError(
                f"{images} is not the file that {self.result} beside it belongs to: run "
                f"{self.command} again"
            )
        run = read_run(folder) if is_run(folder) else None
        return Evaluation(folder, facts, read_scores(images), run)


EVALUATION = FilePair("sib evaluate", "evaluation.json", "evaluation.csv", format=1)
AUDIT = FilePair("sib audit", "audit.json", "audit.csv", format=1)


def read_stored(folder: Path) -> Evaluation:
    """Read the evaluation in a folder; raises the errors of `FilePair.read`."""
    return EVALUATION.read(folder)


def label_entries(facts: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """mAP and F1 of an evaluation with their intervals; nothing where an image has one class.

    Evaluations from before intervals were computed hold plain numbers; their interval is None.
    """
    return {
        name: value if isinstance(value, dict) else {"mean": value, "low": None, "high": None}
        for name, value in facts.get("labels", {}).items()
    }


def trained_on_note(facts: Mapping[str, Any]) -> str:
    """A warning if some of the measured images were trained on; else empty."""
    data = facts.get("data")
    sentence = data.get(TRAINED_ON) if isinstance(data, dict) else None
    return f"warning: {sentence}" if isinstance(sentence, str) else ""


def headline(facts: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Name and figure: mAP where an image has several labels, else the accuracy.

    The share of images whose whole set of labels is right falls with the number of labels, and
    depends on the threshold.
    """
    labels = label_entries(facts)
    return ("mAP", labels[MAP]) if MAP in labels else ("accuracy", facts["accuracy"])
