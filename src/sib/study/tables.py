"""A study's figures as tables for a terminal."""

from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sib.evaluation.tables import LABEL_TITLES
from sib.explain import method_title
from sib.study.audits import FIGURES
from sib.study.summary import ACCURACY, MEAN
from sib.utils.numbers import fixed, signed
from sib.utils.terminal import WIDEST, Terminal, show_tables

CELL, LABEL = 17, 24
"""Widths, in characters, of a setting's column and of the first one."""


def show(found: dict[str, Any], console: Console) -> None:
    """Print the choices, the figures and the differences of ``study.json``."""
    for line in chosen_lines(found):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    settings = [item for item in found["settings"] if item["figures"]]
    others = [item for item in settings if item["difference"]]
    # a pipe takes a table of any width
    is_pipe = isinstance(console, Terminal) and not console.is_terminal
    width = WIDEST if is_pipe else console.width
    tables = [
        *_tables("on test", "figures", settings, found, width),
        *_tables(f"minus {found['reference']}", "difference", others, found, width),
    ]
    show_tables(console, tables, figure_rows(found))
    console.print(found["interval"], highlight=False)


def figure_rows(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Every figure and difference of ``study.json``, one row each, with all digits."""
    kept = ("mean", "low", "high", "seeds", "splits")
    return [
        {"setting": item["name"], "minus": minus, "figure": name}
        | {key: entry.get(key) for key in kept}
        for kind, minus in (("figures", ""), ("difference", found["reference"]))
        for item in found["settings"]
        for name, entry in (item[kind] or {}).items()
    ]


def chosen_lines(found: dict[str, Any]) -> list[str]:
    """Describe what was chosen from each grid."""
    lines = []
    for item in found["settings"]:
        for choice in item["choices"]:
            if not choice["others"] and not choice["incomplete"]:
                continue
            split = f" on split {choice['split_seed']}" if len(found["split_seeds"]) > 1 else ""
            count = 1 + len(choice["others"]) + len(choice["incomplete"])
            line = f"{item['name']}{split}: {choice['chosen']['point']}, chosen from {count} points"
            if not choice["within_margin"]:
                line += ", the most accurate one, since none is known to be within the margin"
            if choice["incomplete"]:
                line += f"; left out because of failed runs: {', '.join(choice['incomplete'])}"
            lines.append(line)
    return lines


def _tables(
    title: str, key: str, settings: list[dict[str, Any]], found: dict[str, Any], width: int
) -> list[Table]:
    """Rows of figures, one column per setting, in as many tables as the width requires."""
    fitting = max(1, (width - LABEL) // CELL)
    return [
        _table(title, key, settings[start : start + fitting], found)
        for start in range(0, len(settings), fitting)
    ]


def _table(title: str, key: str, settings: list[dict[str, Any]], found: dict[str, Any]) -> Table:
    table = Table(box=SIMPLE_HEAD, title=escape(title), title_justify="left")
    table.add_column("", no_wrap=True)
    for item in settings:
        table.add_column(escape(item["name"]), justify="right")
    rows = {ACCURACY: "accuracy"}
    rows |= {name: label for name, label in LABEL_TITLES.items() if _any_has(settings, key, name)}
    if found["methods"]:
        rows[MEAN] = "foreground energy, mean"
    rows |= {method: f"  {method_title(method)}" for method in found["methods"]}
    rows |= {name: FIGURES[name].label for name in found.get("audit", [])}
    for name, label in rows.items():
        better = FIGURES[name].better if name in FIGURES else 1
        cells = (_cell(item[key].get(name), key == "difference", better) for item in settings)
        table.add_row(label, *cells)
    fewer = {item["name"]: item[key][ACCURACY]["seeds"] for item in settings}
    if any(count < len(found["seeds"]) for count in fewer.values()):
        table.add_row("seeds", *(str(count) for count in fewer.values()))
    return table


def _any_has(settings: list[dict[str, Any]], key: str, name: str) -> bool:
    return any(name in item[key] for item in settings)


def _cell(entry: dict[str, Any] | None, difference: bool, better: int = 1) -> str:
    if entry is None:
        return "–"
    mean = (signed if difference else fixed)(entry["mean"])
    if entry["low"] is None:
        return mean
    if difference and (entry["low"] > 0 or entry["high"] < 0):
        colour = {1: " green", 0: "", -1: " red"}[int(np.sign(entry["mean"] * better))]
        mean = f"[bold{colour}]{mean}[/]"
    return f"{mean} ±{(entry['high'] - entry['low']) / 2:.3f}"
