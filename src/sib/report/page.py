"""The page: what the template shows, as plain values."""

import shlex
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from sib.evaluation.compare import points
from sib.evaluation.measures import MEASURES
from sib.evaluation.stored import Evaluation
from sib.evaluation.tables import arrow
from sib.figures.charts import Picture, both_themes, scatter_figure
from sib.objectives.registry import method_title
from sib.report.gallery import Row

TEMPLATES = Path(__file__).parent
Cell = dict[str, str] | None


def render(values: dict[str, Any], template: str = "page.html") -> str:
    """The page; every value is escaped."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES, encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(values)


def summary(stored: list[Evaluation], methods: tuple[str, ...]) -> dict[str, Any]:
    """One row a run: accuracy, and the energy inside the foreground by method."""
    shown = [
        method
        for method in methods
        if any("energy_pointing_game" in item.facts["table"].get(method, {}) for item in stored)
    ]
    rows = []
    for item in stored:
        config = item.run.config if item.run else {}
        trained_with = config.get("method", "–")
        energies = [
            cell(item.facts["table"].get(method, {}).get("energy_pointing_game"))
            for method in shown
        ]
        rows.append(
            {
                "name": item.name,
                "texts": [
                    method_title(trained_with),
                    item.facts["arch"],
                    config.get("seed", "–"),
                ],
                "cells": [cell(item.facts["accuracy"]), *energies],
            }
        )
    facts = stored[0].facts
    caption = (
        f"{facts['images']} images of the {facts['options']['split']} split. Mean, and half the "
        "width of its 95 % bootstrap interval over images."
    )
    if facts["foreground_share"] is not None:
        caption += (
            f" Energy is the share of a map inside the foreground; an even map has "
            f"{facts['foreground_share']:.3f}."
        )
    head = ["run", "trained with", "architecture", "seed", "accuracy"]
    return {
        "caption": caption,
        "head": head + [f"energy, {_spaced(method)}" for method in shown],
        "rows": rows,
    }


def comparison(found: dict[str, Any], explanation: str) -> dict[str, Any]:
    """One table a group: its differences to the reference."""
    tables: list[dict[str, Any]] = []
    for group in found["groups"]:
        measures = list(dict.fromkeys(name for row in group["table"].values() for name in row))
        tables.append(
            {
                "caption": f"{group['name']} minus {found['reference']['name']}",
                "head": ["method", *(f"{MEASURES[name].title} {arrow(name)}" for name in measures)],
                "rows": [
                    {
                        "name": "accuracy",
                        "cells": [signed_cell(group["accuracy"], True)]
                        + [None] * (len(measures) - 1),
                    },
                    *(
                        {
                            "name": _spaced(method),
                            "cells": [
                                signed_cell(row[name], MEASURES[name].higher_is_better)
                                for name in measures
                            ],
                        }
                        for method, row in group["table"].items()
                    ),
                ],
            }
        )
    return {"explanation": explanation, "tables": tables}


def scatter(stored: list[Evaluation]) -> Picture | None:
    """The scatter of all runs; None where no run has a foreground."""
    found = points(stored)
    if not found:
        return None
    said = "; ".join(
        f"{point['name']}: accuracy {point['accuracy']:.3f}, energy {point['localisation']:.3f}"
        for point in found
    )
    return both_themes(
        lambda: scatter_figure(found), f"Scatter of accuracy against energy inside. {said}."
    )


def warnings(stored: list[Evaluation]) -> list[tuple[str, str]]:
    """What runs warned about: the last sentence of each, and in how many epochs there was one."""
    found = []
    for item in stored:
        epochs = item.run.epochs if item.run else []
        said = [record["warnings"] for record in epochs if record.get("warnings")]
        if said:
            of = f"in {len(said)} of {len(epochs)} epochs, the last time so"
            found.append((item.name, f"{of}: {' '.join(said[-1])}"))
    return found


def gallery(
    anchor: str,
    title: str,
    text: str,
    rows: list[Row],
    runs: list[str],
    methods: tuple[str, ...],
) -> dict[str, Any]:
    """One section of images."""
    return {
        "anchor": anchor,
        "title": title,
        "text": text,
        "head": [(run, _spaced(method)) for run in runs for method in methods],
        "rows": [
            {
                "uri": row.uri,
                "alt": row.alt,
                "name": row.name.rpartition("/")[2],
                "label": row.label,
                "cells": [
                    {
                        "uri": shown.uri,
                        "alt": shown.alt,
                        "energy": shown.energy,
                        "first": index % len(methods) == 0,
                        "right": row.predictions[index // len(methods)][2],
                        "said": _said(row.predictions[index // len(methods)]),
                    }
                    for index, shown in enumerate(row.cells)
                ],
            }
            for row in rows
        ],
    }


def repeat(stored: list[Evaluation]) -> list[dict[str, Any]]:
    """The commands that give each run again, its configuration and its versions."""
    found = []
    for item in stored:
        versions = item.facts["versions"]
        evaluate = " ".join(shlex.quote(word) for word in item.facts["command"])
        commands, config = [evaluate], ""
        if item.run is not None:
            commands = [
                f"sib train --config {shlex.quote(str(item.run.path / 'config.yaml'))} --out NEW"
            ]
            commands.append(f"sib evaluate {shlex.quote(str(item.run.path))}")
            config = yaml.safe_dump(item.run.config, sort_keys=False, allow_unicode=True)
            versions = item.run.environment.get("versions", versions)
        found.append(
            {
                "name": item.name,
                "commands": "\n".join(commands),
                "config": config,
                "versions": ", ".join(f"{name} {value}" for name, value in versions.items()),
            }
        )
    return found


def cell(entry: dict[str, Any] | None) -> Cell:
    """A mean with half the width of its interval."""
    if entry is None or entry["mean"] is None:
        return None
    half = (entry["high"] - entry["low"]) / 2
    return {"mean": f"{entry['mean']:.3f}", "half": f"±{half:.3f}", "kind": ""}


def signed_cell(entry: dict[str, Any], higher_is_better: bool) -> Cell:
    """A difference, marked where its interval leaves out zero."""
    shown = cell(entry)
    if shown is None:
        return None
    shown["mean"] = f"{entry['mean']:+.3f}"
    if entry["low"] > 0 or entry["high"] < 0:
        shown["kind"] = "good" if (entry["mean"] > 0) == higher_is_better else "bad"
    return shown


def _said(prediction: tuple[str, float, bool]) -> str:
    name, probability, right = prediction
    return f"{name} {probability:.2f}" + ("" if right else ", wrong")


def _spaced(name: str) -> str:
    return name.replace("_", " ")
