"""By how much, and how surely, the behaviour of classifiers differs, as plain values for a page."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console

from sib.evaluation.audit.difference import differences
from sib.evaluation.audit.words import words_of
from sib.evaluation.stored import Evaluation
from sib.metrics.behaviour import MEASURES
from sib.report.tables import signed_cell
from sib.utils.errors import InputError

ALONE = "background_alone"


def behaviour_differences(audits: Sequence[Evaluation], console: Console) -> dict[str, Any] | None:
    """A table for every group of runs after the first: condition by figure.

    Args:
        audits: of all runs.
        console: reports why there is no comparison.

    Returns:
        ``caption`` and ``tables``; None for runs of one group, or of different images.
    """
    try:
        found = differences(list(audits))
    except InputError as error:  # the audits are still worth showing one by one
        line = f"audits are not compared: {error}"
        console.print(line, highlight=False, markup=False, soft_wrap=True)
        return None
    if found is None:
        return None
    return {"caption": _caption(found), "tables": [_table(each, found) for each in found["groups"]]}


def _table(group: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    rows, words = group["conditions"], words_of(found)
    names = [name for name in words.figures if any(name in row for row in rows.values())]
    return {
        "title": f"{group['name']} minus {found['reference']['name']}",
        "head": ["it is shown", *(words.figures[name] for name in names)],
        "rows": [
            {
                "name": row["title"],
                "cells": [_cell(condition, name, row.get(name)) for name in names],
            }
            for condition, row in rows.items()
        ],
    }


def _cell(condition: str, figure: str, entry: dict[str, Any] | None) -> dict[str, str] | None:
    """A difference; with the background alone, the opposite direction is better."""
    if entry is None or entry["mean"] is None:
        return None
    higher = MEASURES[figure].better == "higher"
    return signed_cell(entry, higher != condition.startswith(ALONE))


def _caption(found: dict[str, Any]) -> str:
    text = (
        f"Difference ± half its 95 % bootstrap interval ({found['resamples']} replicates, paired "
        f"over {found['images']} images). It is bold if its interval excludes zero: green is "
        "better, red is worse. With the background alone, a classifier should not be right, so "
        "there the opposite is better."
    )
    fewest = min(len(group["runs"]) for group in [found["reference"], *found["groups"]])
    if fewest == 1:
        text += " A group has one seed: the interval says nothing about other seeds."
    return text
