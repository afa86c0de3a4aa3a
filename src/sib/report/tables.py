"""The tables of a page, as plain values."""

from typing import Any

from sib.evaluation.measures import MEASURES
from sib.evaluation.scores import ENERGY
from sib.evaluation.stored import Evaluation, headline, label_entries, trained_on_note
from sib.evaluation.tables import LABEL_TITLES, arrow, label_figures
from sib.explain import method_title as explanation_title
from sib.objectives.registry import training_title
from sib.utils.numbers import fixed, signed

Cell = dict[str, str] | None
MEANINGS = {
    "energy_pointing_game": "Share of a map's positive values inside the object",
    "background_leakage": "Mean of the map on the background over its mean on the object",
    "pointing_game": "Share of the images whose largest value lies on the object",
    "top_pixel_iou": "Overlap (IoU) of the object with as many of the map's largest pixels",
    "relevance_rank_accuracy": "Share of those largest pixels that lies on the object",
    "sparseness": "How much of a map sits in few pixels, as a Gini index",
}
"""What a column shows, for the measures that every evaluation has."""


def summary(stored: list[Evaluation], methods: tuple[str, ...]) -> dict[str, Any]:
    """One row per run: how it was trained, its accuracy, and the energy by method."""
    shown = [method for method in methods if any(_has_energy(item, method) for item in stored)]
    rows = []
    for item in stored:
        config = item.run.config if item.run else {}
        energies = [cell(item.facts["table"].get(method, {}).get(ENERGY)) for method in shown]
        rows.append(
            {
                "name": item.name,
                "texts": [training_title(config) if config else "–"],
                "cells": [
                    cell(headline(item.facts)[1]),
                    *energies,
                    plain_cell(epochs_words(item)),
                    plain_cell(config.get("seed", "–")),
                    plain_cell(item.facts["arch"]),
                ],
            }
        )
    facts = stored[0].facts
    caption = (
        f"{facts['images']} images of the {facts['options']['split']} split. Mean ± half its 95 % "
        "bootstrap interval over images."
    )
    notes = filter(None, (trained_on_note(item.facts) for item in stored))
    caption += "".join(f" {note[:1].upper()}{note[1:]}." for note in notes)
    labelled = [item for item in stored if "labels" in item.facts]
    for item in labelled:
        right = item.facts["accuracy"]["mean"]
        caption += f" {item.name}: {label_figures(label_entries(item.facts))}; the whole set of "
        caption += f"labels is right for {right:.3f} of the images."
    if shown:
        caption += (
            " The columns named after a method of explanation hold the energy of its maps; an even "
            f"map has {facts['foreground_share']:.3f}."
        )
    head = ["run", "trained with", headline(facts)[0]]
    head += [f"energy, {explanation_title(method)}" for method in shown]
    return {"caption": caption, "head": [*head, "epochs", "seed", "architecture"], "rows": rows}


def _has_energy(item: Evaluation, method: str) -> bool:
    entry = item.facts["table"].get(method, {}).get(ENERGY)
    return entry is not None and entry["mean"] is not None


def epochs_words(item: Evaluation) -> str:
    """How many epochs a run has had, and whether it has ended."""
    if item.run is None:
        return "–"
    done, wanted = len(item.run.epochs), item.run.config.get("epochs")
    if item.run.result is not None:
        return str(done)
    return f"{done} of {wanted}, unfinished" if wanted else f"{done}, unfinished"


def comparison(found: dict[str, Any], explanation: str) -> dict[str, Any]:
    """Two tables per group: its differences to the reference in accuracy, and in its maps."""
    tables = []
    shown: list[str] = []
    for group in found["groups"]:
        measures = list(dict.fromkeys(name for row in group["table"].values() for name in row))
        shown += [name for name in measures if name not in shown]
        tables.append(
            {
                "figure": "decisions" if "labels" in group else "accuracy",
                "title": f"{group['name']} minus {found['reference']['name']}",
                "accuracy": [
                    *_label_rows(label_entries(group)),
                    {
                        "name": "whole set right" if "labels" in group else "all images",
                        "cells": [signed_cell(group["accuracy"], True)],
                    },
                ],
                "head": ["explanation", *(_head(name) for name in measures)],
                "rows": [
                    {
                        "name": explanation_title(method),
                        "cells": [
                            signed_cell(row[name], MEASURES[name].higher_is_better)
                            for name in measures
                        ],
                    }
                    for method, row in group["table"].items()
                ],
            }
        )
    glossary = [(_head(name), f"{MEANINGS[name]}.") for name in shown if name in MEANINGS]
    return {"explanation": explanation, "tables": tables, "glossary": glossary}


def _label_rows(differences: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"name": title, "cells": [signed_cell(differences[name], True)]}
        for name, title in LABEL_TITLES.items()
        if name in differences
    ]


def cell(entry: dict[str, Any] | None) -> Cell:
    """A mean with half the width of its interval."""
    if entry is None or entry["mean"] is None:
        return None
    if entry["low"] is None:
        return plain_cell(fixed(entry["mean"]))
    half = (entry["high"] - entry["low"]) / 2
    return {"mean": fixed(entry["mean"]), "half": f"±{half:.3f}", "kind": ""}


def wide_signed(value: float) -> str:
    """A difference with its sign; the minus is as wide as the plus."""
    return signed(value).replace("-", "−")


def plain_cell(value: Any) -> Cell:
    """A value without an interval."""
    return {"mean": str(value), "half": "", "kind": ""}


def signed_cell(entry: dict[str, Any], higher_is_better: bool) -> Cell:
    """A difference, marked if its interval excludes zero."""
    shown = cell(entry)
    if shown is None:
        return None
    shown["mean"] = wide_signed(entry["mean"])
    if entry["low"] is None:
        return shown
    if entry["low"] > 0 or entry["high"] < 0:
        shown["kind"] = "good" if (entry["mean"] > 0) == higher_is_better else "bad"
    return shown


def _head(measure: str) -> str:
    return f"{MEASURES[measure].title} {arrow(measure)}"
