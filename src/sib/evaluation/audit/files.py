"""The two files of an audit, which belong together."""

import hashlib
import json
from pathlib import Path

from sib.evaluation.scores import read_scores, to_csv
from sib.evaluation.stored import Evaluation
from sib.runs.reader import is_run, read_json, read_run
from sib.utils.errors import InputError
from sib.utils.files import sha256_of, write_whole

FORMAT = 1
RESULT, IMAGES = "audit.json", "audit.csv"
"""What was found, and the values of each image."""


def has_audit(folder: Path) -> bool:
    """Whether a folder holds an audit."""
    return (folder / RESULT).is_file()


def save_audit(audit: Evaluation) -> None:
    """Write both files; ``audit.json`` holds the other's checksum and comes last.

    Raises:
        InputError: the folder cannot be written.
    """
    text = to_csv(audit.scores)
    audit.facts["images_sha256"] = hashlib.sha256(text.encode()).hexdigest()
    try:
        audit.folder.mkdir(parents=True, exist_ok=True)
        write_whole(audit.folder / IMAGES, text)
        write_whole(audit.folder / RESULT, json.dumps(audit.facts, indent=1, ensure_ascii=False))
    except OSError as error:
        raise InputError(f"{audit.folder} cannot be written: {error.strerror}") from None


def read_audit(folder: Path) -> Evaluation:
    """Read the audit in a folder.

    Raises:
        InputError: it is damaged, of another format, or its two files do not belong together.
    """
    facts = read_json(folder / RESULT)
    if facts.get("format") != FORMAT:
        raise InputError(
            f"{folder / RESULT} has format {facts.get('format')!r}, and this sib reads {FORMAT}: "
            "run sib audit again"
        )
    try:
        digest = sha256_of(folder / IMAGES)
    except OSError as error:
        raise InputError(f"{folder / IMAGES} cannot be read: {error.strerror}") from None
    if digest != facts.get("images_sha256"):
        raise InputError(
            f"{folder / IMAGES} is not the file that {RESULT} beside it belongs to: run sib audit "
            "again"
        )
    run = read_run(folder) if is_run(folder) else None
    return Evaluation(folder, facts, read_scores(folder / IMAGES), run)
