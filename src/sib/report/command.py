"""``sib report``: from run folders to one page. Load, compute what is missing, render."""

from dataclasses import replace
from typing import Any

from rich.console import Console

from sib.config.report import ReportConfig
from sib.evaluation.compare import explanation
from sib.evaluation.groups import GroupedRuns, check_same_images, group_by_seed
from sib.evaluation.results import read_or_evaluate
from sib.evaluation.tables import (
    comparison_rows,
    comparison_table,
    evaluation_rows,
    evaluation_table,
)
from sib.explain import gallery_methods
from sib.report import page, tables
from sib.report.answer import answer
from sib.report.compute import Computed, compute
from sib.report.render import render
from sib.utils.errors import InputError
from sib.utils.files import write_whole
from sib.utils.terminal import Terminal, show_tables

MOST_NAMED = 3
"""Most groups that the title lists by name."""


def report(config: ReportConfig, console: Console) -> None:
    """Write the page.

    Raises:
        InputError: bad input, in one sentence.
    """
    config = replace(config, methods=config.methods or gallery_methods())
    loaded = load(config, console)
    computed = compute(config, loaded, console)
    text = render("report.html", _values(config, loaded, computed))
    try:
        config.out.parent.mkdir(parents=True, exist_ok=True)
        write_whole(config.out, text)
    except OSError as error:
        raise InputError(f"--out {config.out} cannot be written: {error.strerror}") from None
    _show(loaded, computed, console)
    console.print(f"written to {config.out}", highlight=False, markup=False, soft_wrap=True)


def _show(loaded: GroupedRuns, computed: Computed, console: Console) -> None:
    """Print the figures of the page for a program, if ``--table-format`` is given."""
    if not isinstance(console, Terminal) or console.table_format == "table":
        return
    found = [evaluation.facts for evaluation in loaded.evaluations]
    tables = [evaluation_table(facts) for facts in found]
    rows = [{**row, "minus": ""} for facts in found for row in evaluation_rows(facts)]
    if computed.comparison:
        reference = computed.comparison["reference"]["name"]
        tables += [comparison_table(each, reference) for each in computed.comparison["groups"]]
        differences = comparison_rows(computed.comparison)
        rows += [{"run": row.pop("group"), **row} for row in differences]
    show_tables(console, tables, rows)


def load(config: ReportConfig, console: Console) -> GroupedRuns:
    """The evaluations of the runs in groups; a run that has none is evaluated first.

    Raises:
        InputError: a run cannot be read, or the runs have different images or options.
    """
    found = read_or_evaluate(
        config.runs,
        config.device,
        console,
        trust_code=config.trust_code,
        data=config.data,
        layer=config.layer,
    )
    check_same_images(found)
    return GroupedRuns(group_by_seed(found))


def _values(config: ReportConfig, loaded: GroupedRuns, computed: Computed) -> dict[str, Any]:
    """What the template shows."""
    evaluations, found = loaded.evaluations, computed.comparison
    strip = page.strip(computed, loaded, config.methods)
    values: dict[str, Any] = {
        "title": _title([group.name for group in loaded.groups]),
        "answer": answer(loaded, strip["method"] if strip else None),
        "strip": strip,
        "summary": tables.summary(evaluations, config.methods),
        "scatter": page.scatter(evaluations),
        "training": page.training(_logged(loaded), evaluations),
        "comparison": tables.comparison(found, explanation(found)) if found else None,
        "galleries": [
            page.gallery(section, computed, config.methods) for section in computed.sections
        ],
        "no_gallery": computed.no_images,
        "audit": computed.audit,
        "repeat": page.repeat(evaluations),
    }
    return values | {"sections": _sections(values)}


def _logged(loaded: GroupedRuns) -> list[dict[str, Any]]:
    """What each run logged during training."""
    return [
        {"name": member.name, "group": group.name, "epochs": member.run.epochs}
        for group in loaded.groups
        for member in group.members
        if member.run and member.run.epochs
    ]


def _sections(values: dict[str, Any]) -> list[tuple[str, str]]:
    found = [("summary", "Summary")]
    if values["training"]:
        found.append(("training", "Training"))
    if values["comparison"]:
        found.append(("comparison", "How surely the runs differ"))
    found += [(section["anchor"], section["title"]) for section in values["galleries"]]
    if values["audit"] and values["audit"]["differences"]:
        found.append(("behaviour", "How surely their decisions differ"))
    if values["audit"]:
        found += [(run["anchor"], f"Audit of {run['name']}") for run in values["audit"]["runs"]]
    return [*found, ("repeat", "How to repeat it")]


def _title(names: list[str]) -> str:
    if len(names) == 1:
        return f"What {names[0]} looks at"
    if len(names) > MOST_NAMED:
        return f"What {len(names)} classifiers look at"
    return f"What {', '.join(names[:-1])} and {names[-1]} look at"
