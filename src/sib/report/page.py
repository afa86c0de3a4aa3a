"""The page: what the template shows, as plain values."""

import shlex
from typing import Any

import yaml

from sib.evaluation.groups import GroupedRuns
from sib.evaluation.points import points
from sib.evaluation.scores import ENERGY
from sib.evaluation.stored import Evaluation
from sib.explain import method_title
from sib.figures.charts import Picture, both_themes
from sib.figures.curves import Runs, curves, legend, term_curves
from sib.figures.scatter import scatter_figure
from sib.report.compute import Computed, Section
from sib.report.gallery import Cell, Row

STRIP = 6
"""Number of images in the strip at the top."""
STRIP_RUNS = 4
"""Most runs in the strip."""


def strip(
    computed: Computed, loaded: GroupedRuns, methods: tuple[str, ...]
) -> dict[str, Any] | None:
    """Images, and maps of the first run of each group: one lane per run and method."""
    section = next((s for s in computed.sections if s.anchor == "gallery"), None)
    if section is None or not methods:
        return None
    rows = [computed.rows[place] for place in section.places[:STRIP]]
    outlined = ", its object outlined" if loaded.evaluations[0].facts["annotated"] else ""
    drawn: list[str] = []
    lanes: list[dict[str, Any]] = [
        {"title": f"The image{outlined}", "text": "", "method": "", "images": rows}
    ]
    first = {id(item) for item in loaded.select(min(STRIP_RUNS, len(loaded.groups)))}
    for number, (label, item) in enumerate(computed.shown):
        if id(item) not in first:
            continue
        for index, method in enumerate(methods):
            cells = [row.cells[number * len(methods) + index] for row in rows]
            if not any(cell.uri for cell in cells):
                continue
            drawn.append(method)
            text = _of_all(item, method)
            lanes.append(
                {"title": label, "text": text, "method": method_title(method), "images": cells}
            )
    caption = (
        "Images from evenly spaced places of the split, not chosen by their results. A map goes "
        "from dark to bright, or is red where it speaks for the class and blue where it speaks "
        "against it."
    )
    return {"rows": lanes, "caption": caption, "method": drawn[0] if drawn else None}


def scatter(stored: list[Evaluation]) -> Picture | None:
    """The scatter of all runs; None if no run has a foreground, or there are only two."""
    if len(stored) < 3:
        return None
    found = points(stored)
    if len(found) < 3:
        return None
    said = "; ".join(
        f"{point['name']}: {point['measure']} {point['accuracy']:.3f}, "
        f"energy {point['localisation']:.3f}"
        for point in found
    )
    return both_themes(
        lambda: scatter_figure(found),
        f"Scatter of {found[0]['measure']} against energy inside. {said}. "
        f"An even map: energy {found[0]['even']:.3f}.",
    )


def training(runs: Runs, stored: list[Evaluation]) -> dict[str, Any] | None:
    """The curves of the runs; None if no run has logged anything."""
    found, warned = curves(runs), warnings(stored)
    more = term_curves(runs)
    if not (found or more or warned):
        return None
    groups = legend(runs)
    text = "Only quantities that change during training are drawn."
    if len(groups) > 1:
        text = "Runs that differ only in their seed share a colour. " + text
    return {
        "text": text,
        "legend": groups if len(groups) > 1 else [],
        "curves": found,
        "more": more,
        "warnings": warned,
    }


def warnings(stored: list[Evaluation]) -> list[tuple[str, str]]:
    """Warnings of the runs: the last sentence of each, and the number of epochs with one."""
    found = []
    for item in stored:
        epochs = item.run.epochs if item.run else []
        said = [record["warnings"] for record in epochs if record.get("warnings")]
        if said:
            of = f"in {len(said)} of {len(epochs)} epochs. The last time:"
            found.append((item.name, f"{of} {' '.join(said[-1])}"))
    return found


def gallery(section: Section, computed: Computed, methods: tuple[str, ...]) -> dict[str, Any]:
    """One section of images."""
    labels = [label for label, _ in computed.shown]
    return {
        "anchor": section.anchor,
        "title": section.title,
        "text": section.text,
        "rows": [_case(computed.rows[place], labels, methods) for place in section.places],
    }


def _case(row: Row, labels: list[str], methods: tuple[str, ...]) -> dict[str, Any]:
    name = row.name.rpartition("/")[2]
    lines = [{"kind": "name", "text": row.label}, {"kind": "half", "text": name}]
    tiles = [{"run": "", "method": "", "uri": row.uri, "alt": row.alt, "lines": lines}]
    for index, shown in enumerate(row.cells):
        number, method = index // len(methods), methods[index % len(methods)]
        tiles.append(_tile(shown, labels[number], method, row.predictions[number]))
    return {"title": "", "text": "", "tiles": tiles}


def _tile(
    shown: Cell, label: str, method: str, prediction: tuple[str, float, bool]
) -> dict[str, Any]:
    name, probability, right = prediction
    energy = "" if shown.energy is None else f", energy {shown.energy:.2f}"
    lines = [
        {"kind": "name", "text": label},
        {"kind": "half", "text": f"{method_title(method)}{energy}"},
        {
            "kind": "half" if right else "bad",
            "text": f"{name} {probability:.2f}" + ("" if right else ", wrong"),
        },
    ]
    return {
        "run": label,
        "method": method_title(method),
        "uri": shown.uri,
        "alt": shown.alt,
        "lines": lines,
    }


def repeat(stored: list[Evaluation]) -> list[dict[str, Any]]:
    """The commands that repeat each run, its configuration and its versions."""
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


def _of_all(item: Evaluation, method: str) -> str:
    """A method's name, with its energy over all images if it is known."""
    entry = item.facts["table"].get(method, {}).get(ENERGY)
    if entry is None or entry["mean"] is None:
        return method_title(method)
    count = item.facts["annotated"]
    return f"{method_title(method)}, energy {entry['mean']:.3f} on average over {count} images"
