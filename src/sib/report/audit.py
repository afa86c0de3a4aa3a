"""The part of a page for people who decide about a classifier: does it use the object?"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from sib import __version__
from sib.evaluation.audit.figures import ORIGINAL
from sib.evaluation.audit.source import audit_source
from sib.evaluation.audit.table import FIGURES, caption, short
from sib.evaluation.checkpoint import Checkpoint
from sib.evaluation.data import spaced_indices
from sib.evaluation.stored import Evaluation
from sib.report import page
from sib.report.audit_pictures import MAP, columns_of, reliance, rows_of, titles
from sib.report.audit_words import verdict
from sib.utils.device import choose_device
from sib.utils.errors import InputError
from sib.utils.files import write_whole
from sib.utils.progress_bar import progress

Opened = Callable[[Evaluation], tuple[Checkpoint, Any]]
"""Opens an audit's classifier and its data (`sib.data.Splits`)."""
KINDS = (ORIGINAL, MAP, "exchanged", "blurred", "greyed", "object_alone", "background_alone")
RELYING_KINDS = (ORIGINAL, MAP, "exchanged", "object_alone", "background_alone")
EXAMPLES, RELYING = 5, 10
METHOD = (
    "The object of each image, as it is annotated, stays where it is, and only what lies around it "
    "changes. A background of another class comes from another image whose own object was covered, "
    "in more than one way, since each leaves traces of its own. Annotations that hold a margin of "
    "background, such as boxes, keep that margin in view, and then the figures understate how much "
    "a classifier relies on the background."
)


def sections(
    audits: Sequence[Evaluation], opened: Opened, device: str, console: Console
) -> dict[str, Any]:
    """What the template shows of audits.

    Args:
        audits: one or more.
        opened: opens the classifier and the data of each; what it refuses leaves pictures out.
        device: for the maps.
        console: for the progress bar.
    """
    with progress(console, "drawing", len(audits) * (EXAMPLES + RELYING)) as bar:
        runs = []
        for number, audit in enumerate(audits):
            runs.append(_run(audit, number, opened, device, console))
            bar(EXAMPLES + RELYING)
    return {"runs": runs, "method": METHOD}


def _run(
    audit: Evaluation, number: int, opened: Opened, device: str, console: Console
) -> dict[str, Any]:
    facts = audit.facts
    found = verdict(facts)
    values = {
        "anchor": f"audit-{number}",
        "name": facts["name"],
        "level": found.level,
        "headline": found.headline,
        "sentences": found.sentences,
        "advice": found.advice,
        "table": _table(facts),
        "caption": caption(facts),
        "galleries": [],
        "no_pictures": "",
    }
    try:
        values["galleries"] = _galleries(audit, opened, device, console)
    except InputError as error:  # the figures are worth showing without pictures
        values["no_pictures"] = str(error)
    return values


def _galleries(
    audit: Evaluation, opened: Opened, device: str, console: Console
) -> list[dict[str, Any]]:
    checkpoint, splits = opened(audit)
    options = audit.facts["options"]
    source = audit_source(checkpoint, splits, options, choose_device(device), console).source
    scored = np.flatnonzero(np.isfinite(audit.scores.column(ORIGINAL, "correct")))
    examples = scored[spaced_indices(EXAMPLES, len(scored))].tolist()
    fall = reliance(audit.scores)
    ordered = [int(p) for p in np.argsort(fall, kind="stable") if np.isfinite(fall[p])]
    relying = [place for place in ordered if fall[place] < 0][:RELYING]
    found = []
    for title, text, kinds, places in (
        (
            "What happens when the background changes",
            "A few images, drawn evenly from all. Below each picture stands what the classifier "
            "names and the probability of its first decision. Another decision is red. In the "
            "second picture the object is outlined; covering red or bright parts costs certainty "
            "of the decision, and covering blue ones gives it some.",
            KINDS,
            examples,
        ),
        (
            "Where it relies on the background most",
            "The images whose decision loses most certainty when the background is exchanged, the "
            "strongest first.",
            RELYING_KINDS,
            relying,
        ),
    ):
        if not places:
            continue
        columns = columns_of(audit.scores, kinds)
        rows = rows_of(audit, checkpoint, source, places, columns, choose_device(device))
        found.append({"title": title, "text": text, "head": titles(columns), "rows": rows})
    return found


def _table(facts: dict[str, Any]) -> dict[str, Any]:
    rows = facts["conditions"]
    names = [n for n in FIGURES if any(row.get(n) is not None for row in rows.values())]
    return {
        "head": ["background", *(FIGURES[name] for name in names)],
        "rows": [
            {"name": short(name), "cells": [_cell(row.get(figure)) for figure in names]}
            for name, row in rows.items()
        ],
    }


def _cell(entry: dict[str, Any] | None) -> dict[str, str] | None:
    if entry is None or entry["mean"] is None:
        return None
    half = "" if entry["low"] is None else f"±{(entry['high'] - entry['low']) / 2:.3f}"
    half = f"{half} {entry['name']}" if "name" in entry else half
    return {"mean": f"{entry['mean']:.3f}", "half": half, "kind": ""}


def write_page(
    out: Path, audits: Sequence[Evaluation], opened: Opened, device: str, console: Console
) -> None:
    """Write a page about audits alone.

    Raises:
        InputError: it cannot be written.
    """
    values = {
        "title": "Does the classifier use the object?",
        "audit": sections(audits, opened, device, console),
        "written_by": f"sib {__version__}",
    }
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_whole(out, page.render(values, "audit_page.html"))
    except OSError as error:
        raise InputError(f"--page {out} cannot be written: {error.strerror}") from None
    console.print(f"page: {out}", highlight=False, markup=False, soft_wrap=True)
