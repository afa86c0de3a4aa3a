"""The tables of an audit, in plain words and with all figures."""

from collections.abc import Sequence
from typing import Any

from sib.evaluation.audit.words import ORIGINAL, is_several, words_of
from sib.evaluation.stored import Evaluation
from sib.report.audit_words import guessing, mean_of, of_100, verdict
from sib.utils.numbers import fixed

SHOWN = {
    ORIGINAL: "the image as it is",
    "exchanged": "the object in front of a background of another class",
    "blurred": "the object in front of its background, blurred",
    "greyed": "the object in front of its background, without colour",
    "object_alone": "the object alone",
    "background_alone": "the background alone",
}
"""What a classifier is shown, by kind of condition."""
SHOWN_SEVERAL = SHOWN | {
    "exchanged": "all objects in front of the background of an image without the label",
    "blurred": "all objects in front of their background, blurred",
    "greyed": "all objects in front of their background, without colour",
    "object_alone": "the label's objects alone",
    "background_alone": "the image without the label's objects",
}
"""The same with several labels an image."""
BRIEFLY = {
    ORIGINAL: "as it is",
    "exchanged": "other back\N{SOFT HYPHEN}ground",
    "background_alone": "back\N{SOFT HYPHEN}ground alone",
}
"""The same, for the head of a narrow table."""
BRIEFLY_SEVERAL = BRIEFLY | {"background_alone": "object removed"}
GLOSSARY_SEVERAL = (
    ("labels found", "Share of the labels of the images that are found."),
    (
        "decisions changed",
        "Share of those labels that are found in the image as it is and not after the change, or "
        "the other way round.",
    ),
    (
        "labels added",
        "Share of the changed images that get a label which they do not have, and did not get as "
        "they are.",
    ),
    (
        "log-odds change",
        "How much certainty the decision about a label gains or loses, on average: log(p / (1 − "
        "p)) after the change minus before. −1 turns 0.73 into 0.50.",
    ),
    ("worst label, worst group", "Labels found where they are fewest, with its name."),
)
GLOSSARY = (
    ("accuracy", "Share of the images whose class is right."),
    ("decisions changed", "Share of the images that get another class than as they are."),
    (
        "log-odds change",
        "How much certainty the first decision gains or loses, on average: log(p / (1 − p)) after "
        "the change minus before. −1 turns 0.73 into 0.50.",
    ),
    ("worst class, worst group", "Accuracy where it is lowest, with its name."),
)


def shown_table(facts: dict[str, Any]) -> dict[str, Any]:
    """What the classifier was shown, and how many of 100 images it gets right."""
    rows: list[dict[str, Any]] = []
    several = is_several(facts)
    for kind, name in (SHOWN_SEVERAL if several else SHOWN).items():
        right = mean_of(facts, kind)
        if right is None:
            continue
        changed = None if kind == ORIGINAL else mean_of(facts, kind, "changed")
        if kind == "background_alone":
            changed = None  # a different decision is desired there
        rows.append({"name": name, "cells": [_words(right), _words(changed)]})
    guess = (
        "an image without the label" if several else "nothing, so it names the most frequent class"
    )
    rows.append({"name": guess, "cells": [_words(guessing(facts)), None]})
    goal = "the label is found" if several else "the class is right"
    return {"head": ["it is shown", goal, "it decides differently"], "rows": rows}


def overview_table(audits: Sequence[Evaluation]) -> dict[str, Any]:
    """One row per classifier: the verdict and the figures behind it."""
    kinds = [
        kind for kind in BRIEFLY if any(mean_of(audit.facts, kind) is not None for audit in audits)
    ]
    rows = [
        {
            "name": audit.facts["name"],
            "texts": [verdict(audit).brief],
            "cells": [_number(mean_of(audit.facts, kind)) for kind in kinds],
        }
        for audit in audits
    ]
    brief = BRIEFLY_SEVERAL if is_several(audits[0].facts) else BRIEFLY
    goal = (
        "100 labels are found" if is_several(audits[0].facts) else "100 images get the right class"
    )
    return {
        "head": ["classifier", "verdict", *(brief[kind] for kind in kinds)],
        "rows": rows,
        "caption": f"How many of {goal}.",
    }


def figures_table(facts: dict[str, Any]) -> dict[str, Any]:
    """Every condition with every figure."""
    rows, words = facts["conditions"], words_of(facts)
    names = [n for n in words.figures if any(row.get(n) is not None for row in rows.values())]
    return {
        "head": ["it is shown", *(words.figures[name] for name in names)],
        "rows": [
            {"name": words.title(name), "cells": [_cell(row.get(figure)) for figure in names]}
            for name, row in rows.items()
        ],
        "glossary": GLOSSARY_SEVERAL if is_several(facts) else GLOSSARY,
    }


def _words(share: float | None) -> dict[str, str] | None:
    return None if share is None else {"mean": of_100(share), "half": "", "kind": ""}


def _number(share: float | None) -> dict[str, str] | None:
    """How many of 100, where a caption says that they are of 100."""
    return None if share is None else {"mean": f"{round(100 * share)}", "half": "", "kind": ""}


def _cell(entry: dict[str, Any] | None) -> dict[str, str] | None:
    if entry is None or entry["mean"] is None:
        return None
    half = "" if entry["low"] is None else f"±{(entry['high'] - entry['low']) / 2:.3f}"
    half = f"{half} {entry['name']}" if "name" in entry else half
    return {"mean": fixed(entry["mean"]), "half": half, "kind": ""}
