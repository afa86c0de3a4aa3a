"""The audit, for people who decide about a classifier: does it use the object?"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from sib.data.subset import spaced_indices
from sib.data.transforms import JointTransform
from sib.evaluation.audit.source import audit_source
from sib.evaluation.audit.table import caption
from sib.evaluation.audit.words import ORIGINAL, is_several, words_of
from sib.evaluation.checkpoint import Checkpoint
from sib.evaluation.foregrounds import LabelForegrounds
from sib.evaluation.stored import Evaluation
from sib.report.audit_cells import MAP, titles
from sib.report.audit_differences import behaviour_differences
from sib.report.audit_losses import losses
from sib.report.audit_pictures import Row, columns_of, rows_of
from sib.report.audit_tables import figures_table, overview_table, shown_table
from sib.report.audit_words import verdict
from sib.report.render import render
from sib.utils.device import choose_device
from sib.utils.errors import InputError
from sib.utils.files import write_whole
from sib.utils.progress_bar import progress

Opened = Callable[[Evaluation], tuple[Checkpoint, Any]]
"""Opens an audit's classifier and its data (`sib.data.Splits`)."""
LOOKING_KINDS = (ORIGINAL, MAP)
CHANGED_KINDS = (ORIGINAL, "exchanged", "blurred", "greyed", "object_alone", "background_alone")
EXAMPLES, RELYING = 6, 10
CHANGED_WORDS = (
    "The same images, which were not chosen by their results. Below each picture is what the "
    "classifier decides. The number is the probability of its first decision; it should change "
    "little as long as the object is there. Red: it decides differently."
)
CHANGED_SEVERAL_WORDS = (
    "The same images, which were not chosen by their results. Below each picture is whether the "
    "label above is found. The number is its probability; it should change little as long as the "
    "label's objects are there. Red: the decision changes."
)
RELYING_WORDS = (
    "The images that lose most certainty when the background changes, the largest loss first. Each "
    "loses at least 0.05 in probability, or gets another decision. Look for what their backgrounds "
    "have in common."
)
NONE_RELIES = (
    "There are none: with the changed backgrounds of this page, no image gets another decision or "
    "loses 0.05 of its probability."
)
SEVERAL_METHOD = (
    "All objects of an image, as they are annotated, stay where they are, and only what lies "
    "around them changes. A background comes from another image without the label, whose own "
    "objects were covered. Each label is also audited with its own objects alone, and without "
    "them, where the objects of other labels stay."
)
METHOD = (
    "The object of each image, as it is annotated, stays where it is, and only what lies around it "
    "changes. A background of another class comes from another image whose own object was covered. "
    "It is covered in more than one way, since each leaves traces of its own. Annotations that "
    "hold a margin of background, such as boxes, keep that margin in view. Then the figures "
    "understate how much a classifier relies on the background."
)


def sections(
    audits: Sequence[Evaluation],
    opened: Opened,
    device: str,
    console: Console,
    compared: Sequence[Evaluation] = (),
) -> dict[str, Any]:
    """What the template shows about audits.

    Args:
        audits: at least one.
        opened: opens the classifier and the data of each; if it fails, there are no pictures.
        device: device for the maps.
        console: for the progress bar.
        compared: those whose differences are shown. Default: ``audits``.
    """
    with progress(console, "drawing", len(audits) * (EXAMPLES + RELYING)) as bar:
        runs = []
        for number, audit in enumerate(audits):
            runs.append(_run(audit, number, opened, device, console))
            bar(EXAMPLES + RELYING)
    return {
        "runs": runs,
        "method": SEVERAL_METHOD if is_several(audits[0].facts) else METHOD,
        "overview": overview_table(audits) if len(audits) > 1 else None,
        "differences": behaviour_differences(compared or audits, console),
    }


def _run(
    audit: Evaluation, number: int, opened: Opened, device: str, console: Console
) -> dict[str, Any]:
    facts = audit.facts
    found = verdict(audit)
    values = {
        "anchor": f"audit-{number}",
        "name": facts["name"],
        "level": found.level,
        "headline": found.headline,
        "sentences": found.sentences,
        "advice": found.advice,
        "shown": shown_table(facts),
        "table": figures_table(facts),
        "caption": caption(facts, words_of(facts).title),
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
    skipped = bool(audit.facts.get("skipped"))
    source = audit_source(
        checkpoint, splits, options, choose_device(device), console, skip_bad=skipped
    ).source
    objects = None
    if is_several(audit.facts):
        transform = JointTransform(checkpoint.image_size, resize=checkpoint.resize)
        objects = LabelForegrounds(getattr(splits, options["split"]), transform)
    scored = np.flatnonzero(np.isfinite(audit.scores.column(ORIGINAL, "correct")))
    examples = scored[spaced_indices(EXAMPLES, len(scored))].tolist()
    changed = columns_of(audit.scores, ("exchanged", "object_alone"))[:1]
    relying = [place for column in changed for place in losses(audit.scores, column, RELYING)]
    kind = "exchanged" if changed and changed[0] != "object_alone" else "object_alone"
    relying_kinds = (ORIGINAL, MAP, kind, "background_alone")
    found: list[dict[str, Any]] = []
    for heading, text, kinds, places in (
        (
            "What it looks at",
            "Beside each image, parts of it were covered one after the other. Where covering makes "
            "the classifier less certain of its decision, the picture is red. Where covering "
            "makes it more certain, it is blue. The outline is the object. Red inside the outline "
            "is what you want to see.",
            LOOKING_KINDS,
            examples,
        ),
        (
            "What happens when the background changes",
            CHANGED_SEVERAL_WORDS if is_several(audit.facts) else CHANGED_WORDS,
            CHANGED_KINDS,
            examples,
        ),
        (
            "Where it relies on the background most",
            RELYING_WORDS if relying else NONE_RELIES,
            relying_kinds,
            relying,
        ),
    ):
        if not places:
            if places is relying and changed:
                found.append({"title": heading, "text": text, "rows": []})
            continue
        columns = columns_of(audit.scores, kinds)
        rows = rows_of(audit, checkpoint, source, places, columns, choose_device(device), objects)
        cases = [_case(row, titles(columns, words_of(audit.facts))) for row in rows]
        found.append({"title": heading, "text": text, "rows": cases})
    return found


def _case(row: Row, names: list[str]) -> dict[str, Any]:
    tiles = []
    for name, cell in zip(names, row.cells, strict=True):
        said = [{"kind": "bad" if cell.changed else "half", "text": cell.said}] if cell.said else []
        lines = [{"kind": "name", "text": name}, *said]
        tiles.append({"run": "", "method": "", "uri": cell.uri, "alt": cell.alt, "lines": lines})
    return {"title": row.label, "text": row.name.rpartition("/")[2], "tiles": tiles}


def write_page(
    out: Path, audits: Sequence[Evaluation], opened: Opened, device: str, console: Console
) -> None:
    """Write a page that is only about audits.

    Raises:
        InputError: it cannot be written.
    """
    values = {
        "title": "Does the classifier use the object?",
        "audit": sections(audits, opened, device, console),
    }
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_whole(out, render("audit_page.html", values))
    except OSError as error:
        raise InputError(f"--page {out} cannot be written: {error.strerror}") from None
    console.print(f"page: {out}", highlight=False, markup=False, soft_wrap=True)
