"""Evaluations and comparisons as tables for a terminal."""

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from sib.evaluation.measures import MEASURES
from sib.evaluation.stored import label_entries
from sib.explain import method_title
from sib.utils.numbers import fixed, signed

LABEL_TITLES = {
    "map_macro": "mAP",
    "map_micro": "mAP, micro",
    "f1_macro": "F1 at 0.5",
    "f1_micro": "F1 at 0.5, micro",
}
"""Figures of several labels an image."""


def evaluation_table(found: dict[str, Any]) -> Table:
    """Methods by measures: the mean, with half the width of its 95 % interval below."""
    measures = _known_measures(found)
    accuracy = interval(found["accuracy"], single_line=True)
    figures = f"accuracy {accuracy}"
    if "labels" in found:
        figures = f"{label_figures(label_entries(found))}, accuracy of the whole set {accuracy}"
    title = f"{escape(found['name'])}: {figures} on {found['images']} images"
    share, known = found["foreground_share"], found["annotated"]
    annotated = f"A foreground is known for {known} image{'s' * (known != 1)}"
    if share is not None:
        annotated += f". It covers {share:.3f} of the area, which is the energy of an even map"
    table = Table(
        box=SIMPLE_HEAD,
        title=title,
        caption=f"{annotated}. Mean ± half its 95 % bootstrap interval over images.",
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("method", no_wrap=True)
    _add_measures(table, measures)
    for method, row in found["table"].items():
        table.add_row(method_title(method), *(interval(row[name]) for name in measures))
    return table


def label_figures(figures: dict[str, dict[str, Any]], differences: bool = False) -> str:
    """mAP and F1 of several labels an image, or their ``differences``, in words."""
    write = difference if differences else interval
    written = {name: write(entry, single_line=True) for name, entry in figures.items()}
    values = {name: written.get(name, "–") for name in LABEL_TITLES}
    return (
        f"mAP {values['map_macro']} (micro {values['map_micro']}), F1 at 0.5 {values['f1_macro']} "
        f"(micro {values['f1_micro']})"
    )


def comparison_table(group: dict[str, Any], reference: str) -> Table:
    """Methods by measures: the difference to the reference group, and its 95 % interval."""
    measures = _known_measures(group)
    accuracy = f"accuracy {difference(group['accuracy'], single_line=True)}"
    if "labels" in group:
        labels = label_figures(label_entries(group), differences=True)
        accuracy = f"{labels}, accuracy of the whole set {accuracy.removeprefix('accuracy ')}"
    table = Table(
        box=SIMPLE_HEAD,
        title=f"{escape(group['name'])} minus {escape(reference)}: {accuracy}",
        title_justify="left",
    )
    table.add_column("method", no_wrap=True)
    _add_measures(table, measures)
    for method, row in group["table"].items():
        table.add_row(method_title(method), *(difference(row[name], name) for name in measures))
    return table


def evaluation_rows(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Accuracy and every measure of every method, one row each, with all digits."""
    run = {"run": found["name"]}
    rows = [run | {"method": "", "measure": "accuracy"} | found["accuracy"]]
    rows += [
        run | {"method": "", "measure": name} | entry
        for name, entry in label_entries(found).items()
    ]
    return rows + [
        run | {"method": method, "measure": measure} | entry
        for method, row in found["table"].items()
        for measure, entry in row.items()
    ]


def comparison_rows(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Every difference to the reference, one row each, with all digits."""
    rows: list[dict[str, Any]] = []
    for group in found["groups"]:
        own = {"group": group["name"], "minus": found["reference"]["name"]}
        rows.append(own | {"method": "", "measure": "accuracy"} | _figures(group["accuracy"]))
        rows += [
            own | {"method": "", "measure": name} | _figures(entry)
            for name, entry in label_entries(group).items()
        ]
        rows += [
            own | {"method": method, "measure": measure} | _figures(entry)
            for method, row in group["table"].items()
            for measure, entry in row.items()
        ]
    return rows


def _figures(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: entry.get(name) for name in ("mean", "low", "high", "p", "images")}


def _known_measures(found: dict[str, Any]) -> list[str]:
    """Measures with a value of some method: without a foreground, most have none."""
    rows = found["table"].values()
    return list(dict.fromkeys(n for row in rows for n in row if row[n]["mean"] is not None))


def _add_measures(table: Table, measures: list[str]) -> None:
    for name in measures:
        title = MEASURES[name].title
        widest = max(len(word) for word in title.split())
        table.add_column(f"{title} {arrow(name)}", justify="right", min_width=widest)


def arrow(measure: str) -> str:
    """An arrow that shows which direction is better."""
    return "↑" if MEASURES[measure].higher_is_better else "↓"


def interval(entry: dict[str, float | None], single_line: bool = False) -> str:
    """The mean, and half the width of its interval."""
    return _with_half_width(
        entry, fixed(entry["mean"]) if entry["mean"] is not None else "", single_line
    )


def difference(
    entry: dict[str, Any], measure: str = "energy_pointing_game", single_line: bool = False
) -> str:
    """The difference with its sign; bold if the interval excludes zero."""
    if entry["mean"] is None:
        return "–"
    mean = signed(entry["mean"])
    if entry["low"] is not None and (entry["low"] > 0 or entry["high"] < 0):
        better = (entry["mean"] > 0) == MEASURES[measure].higher_is_better
        mean = f"[bold {'green' if better else 'red'}]{mean}[/]"
    return _with_half_width(entry, mean, single_line)


def _with_half_width(entry: dict[str, Any], mean: str, single_line: bool) -> str:
    if entry["mean"] is None:
        return "–"
    if entry["low"] is None:
        return mean
    half = f"±{(entry['high'] - entry['low']) / 2:.3f}"
    return f"{mean} {half}" if single_line else f"{mean}\n[dim]{half}[/]"
