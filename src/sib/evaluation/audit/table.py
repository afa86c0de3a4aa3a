"""Audits as tables for a terminal."""

from collections.abc import Callable
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from sib.data.understood import plural
from sib.evaluation.audit.figures import SMALLEST
from sib.evaluation.audit.words import ORIGINAL, Words, is_several, words_of
from sib.evaluation.stored import Evaluation
from sib.utils.numbers import fixed, signed

PARTS = ("mean", "low", "high")


def audit_table(audit: Evaluation) -> Table:
    """Conditions by figures: the mean, and half the width of its 95 % interval."""
    facts, words = audit.facts, words_of(audit.facts)
    right = "whole set of labels right for" if is_several(facts) else "accuracy"
    table = Table(
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
        title=f"{escape(facts['name'])}: {right} {_cell(facts['accuracy'])} on {facts['images']} "
        f"images of the {facts['options']['split']} split",
        caption=escape(caption(facts)),
        title_justify="left",
        caption_justify="left",
    )
    shown = _shown(words, facts["conditions"].values())
    _add_columns(table, words, shown)
    for condition, row in facts["conditions"].items():
        cells = (_cell(row.get(name), name == "log_odds_change") for name in shown)
        table.add_row(words.short(condition), *cells)
    alone = any(condition.startswith("background_alone") for condition in facts["conditions"])
    if alone and facts["chance"] is not None:
        table.add_row(words.chance, f"{facts['chance']:.3f}")
    return table


def difference_table(group: dict[str, Any], found: dict[str, Any]) -> Table:
    """Conditions by figures: the difference to the reference group, and its 95 % interval.

    Args:
        group: one of the groups of ``found``.
        found: of `differences`.
    """
    reference, words = found["reference"]["name"], words_of(found)
    table = Table(
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
        title=f"{escape(group['name'])} minus {escape(reference)}",
        title_justify="left",
    )
    shown = _shown(words, group["conditions"].values())
    _add_columns(table, words, shown)
    for condition, row in group["conditions"].items():
        table.add_row(words.short(condition), *(_marked(row.get(name)) for name in shown))
    return table


def caption(facts: dict[str, Any], named: Callable[[str], str] | None = None) -> str:
    """Which images there were, which were left out, and what the intervals are.

    Args:
        facts: the content of ``audit.json``.
        named: how a condition is named; None for the words of the terminal's tables.
    """
    words = words_of(facts)
    named = named or words.short
    left = facts["left_out"]
    parts = [f"{facts['scored']} images with an object and a background"]
    if is_several(facts):
        parts[0] += f", and {facts['pairs']} labels of theirs"
    if left["without_foreground"]:
        parts.append(f"{left['without_foreground']} without a foreground left out")
    if left["all_foreground"]:
        parts.append(f"{left['all_foreground']} without a background left out")
    if left.get("labels_without_object"):
        parts.append(f"{left['labels_without_object']} labels without an object of theirs left out")
    lines = ["; ".join(parts) + "."]
    if facts["foreground_words"]:
        lines.append(facts["foreground_words"])
    lacking = {
        named(condition): row["without_value"]
        for condition, row in facts["conditions"].items()
        if row["without_value"]
    }
    if lacking:
        listed = "; ".join(f"{name} ({count})" for name, count in lacking.items())
        what = "Labels" if is_several(facts) else "Images"
        lines.append(f"{what} for which a change is not possible: {listed}.")
    for figure in ("worst_class", "worst_group"):
        worst = facts["conditions"][ORIGINAL].get(figure)
        if worst is not None and worst["name"] is not None:
            part = words.figures[figure].capitalize()
            lines.append(f"{part} as it is: {worst['name']}, {plural(worst['images'])}.")
    lines.append(
        f"Mean ± half its 95 % bootstrap interval over images; none below {SMALLEST} images."
    )
    return " ".join(lines)


def audit_rows(audit: Evaluation) -> list[dict[str, Any]]:
    """Every figure of every condition, one row each, with all digits."""
    rows = [{"condition": "", "figure": "accuracy"} | audit.facts["accuracy"]]
    rows += [
        {"condition": condition, "figure": name} | {part: row[name][part] for part in PARTS}
        for condition, row in audit.facts["conditions"].items()
        for name in words_of(audit.facts).figures
        if row.get(name) is not None
    ]
    return [{"run": audit.facts["name"], "minus": ""} | row for row in rows]


def difference_rows(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Every difference to the reference, one row each, with all digits."""
    return [
        {"run": group["name"], "minus": found["reference"]["name"]}
        | {"condition": condition, "figure": name}
        | {part: row[name][part] for part in PARTS}
        for group in found["groups"]
        for condition, row in group["conditions"].items()
        for name in words_of(found).figures
        if name in row
    ]


def behaviour_rows(found: dict[str, Any]) -> list[dict[str, Any]]:
    """The same with the names that a comparison of evaluations uses."""
    names = {"run": "group", "condition": "method", "figure": "measure"}
    return [
        {names.get(key, key): value for key, value in row.items()} for row in difference_rows(found)
    ]


def _shown(words: Words, rows: Any) -> list[str]:
    """Figures that some condition has."""
    present = {name for row in rows for name, value in row.items() if value is not None}
    return [name for name in words.figures if name in present]


def _add_columns(table: Table, words: Words, shown: list[str]) -> None:
    table.add_column("background", no_wrap=True)
    for name in shown:
        widest = max(len(word) for word in words.figures[name].split())
        table.add_column(words.figures[name], justify="right", min_width=widest)


def _cell(entry: dict[str, Any] | None, difference: bool = False) -> str:
    if entry is None:
        return ""
    if entry["mean"] is None:
        return "–"
    text = signed(entry["mean"], 2) if difference else fixed(entry["mean"])
    if entry["low"] is not None:
        half = (entry["high"] - entry["low"]) / 2
        if "name" not in entry:  # that of a few images is wide, so only in the files
            text += f" [dim]±{half:.2f}[/]"
    return text


def _marked(entry: dict[str, Any] | None) -> str:
    """A difference with its sign; bold if the interval excludes zero."""
    if entry is None:
        return ""
    if entry["mean"] is None:
        return "–"
    mean = signed(entry["mean"])
    if entry["low"] is None:
        return mean
    if entry["low"] > 0 or entry["high"] < 0:
        mean = f"[bold]{mean}[/]"
    return f"{mean} [dim]±{(entry['high'] - entry['low']) / 2:.2f}[/]"
