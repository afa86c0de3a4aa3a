"""By how much, and how surely, runs differ."""

import json
from typing import Any

import numpy as np
from rich.console import Console

from sib.config.report import CompareConfig
from sib.evaluation.audit.difference import differences
from sib.evaluation.audit.table import behaviour_rows, difference_table
from sib.evaluation.groups import Group, check_same_images, group_by_seed
from sib.evaluation.label_intervals import NAMES, label_difference
from sib.evaluation.points import points
from sib.evaluation.results import present_audits, read_or_evaluate
from sib.evaluation.scores import ENERGY, stack
from sib.evaluation.statistics import Array, Difference, paired_difference
from sib.evaluation.stored import Evaluation, label_entries
from sib.evaluation.tables import comparison_rows, comparison_table
from sib.figures.scatter import draw_scatter
from sib.utils.errors import InputError
from sib.utils.files import write_whole
from sib.utils.terminal import show_tables

Columns = list[tuple[str, str]]


def compare(config: CompareConfig, console: Console) -> dict[str, Any]:
    """Compare every group of runs with the first, print tables, write JSON and the scatter.

    Returns:
        The content of ``comparison.json``.

    Raises:
        InputError: the runs have different images, or there is only one group.
    """
    stored = read_or_evaluate(
        config.runs, config.device, console, config.metrics, config.trust_code, config.data
    )
    found = compare_stored(stored, config.metrics, config.resamples)
    name = found["reference"]["name"]
    tables = [comparison_table(group, name) for group in found["groups"]]
    rows = comparison_rows(found)
    behaviour = _compare_audits(config, console)
    if behaviour:
        found["behaviour"] = behaviour
        tables += [difference_table(group, behaviour) for group in behaviour["groups"]]
        rows += behaviour_rows(behaviour)
    show_tables(console, tables, rows)
    console.print(explanation(found), soft_wrap=False, highlight=False)
    try:
        config.out.mkdir(parents=True, exist_ok=True)
        write_whole(config.out / "comparison.json", json.dumps(found, indent=1))
        draw_scatter(config.out / "scatter.png", points(stored))
    except OSError as error:
        raise InputError(f"--out {config.out} cannot be written: {error.strerror}") from None
    console.print(f"written to {config.out}", highlight=False, soft_wrap=True)
    return found


def _compare_audits(config: CompareConfig, console: Console) -> dict[str, Any] | None:
    """The differences of audits if all runs have one of the same images; otherwise None.

    Raises:
        InputError: an audit is damaged.
    """
    audits = present_audits(config.runs, console)
    if not audits:
        return None
    try:
        return differences(audits, config.resamples)
    except InputError as error:  # the evaluations are still worth comparing
        console.print(
            f"behaviour is left out: {error}", highlight=False, markup=False, soft_wrap=True
        )
        return None


def compare_stored(
    stored: list[Evaluation], metrics: tuple[str, ...] = (), resamples: int = 2000
) -> dict[str, Any]:
    """Differences between the first group and every other, by method and measure.

    Raises:
        InputError: the runs have different images or no common measure, or there is only one group.
    """
    check_same_images(stored)
    groups = group_by_seed(stored)
    if len(groups) < 2:
        raise InputError(
            "the runs differ only in their seed, so there is nothing to compare; give runs of "
            "at least two configurations"
        )
    columns = _common(stored, metrics)
    reference, *others = groups
    return {
        "reference": _described(reference),
        "images": len(stored[0].scores.names),
        "resamples": resamples,
        "groups": [
            _described(group) | _differences(reference, group, columns, resamples)
            for group in others
        ],
    }


def _common(stored: list[Evaluation], metrics: tuple[str, ...]) -> Columns:
    """Pairs of method and measure that all runs have."""
    first, *others = (item.scores.columns for item in stored)
    shared = [pair for pair in first if all(pair in columns for columns in others)]
    shared = [pair for pair in shared if not metrics or pair[1] in metrics]
    if not shared:
        raise InputError("the runs have no method and measure in common")
    return shared


def _described(group: Group) -> dict[str, Any]:
    return {
        "name": group.name,
        "runs": [str(member.folder) for member in group.members],
        "seeds": group.seeds,
    }


def _differences(
    reference: Group, group: Group, columns: Columns, resamples: int
) -> dict[str, Any]:
    first = stack([member.scores for member in reference.members], columns)
    second = stack([member.scores for member in group.members], columns)
    paired = reference.seeds is not None and reference.seeds == group.seeds
    found = paired_difference(first, second, paired, resamples)
    accuracy = paired_difference(_correct(reference), _correct(group), paired, resamples)
    table: dict[str, dict[str, Any]] = {}
    for index, (method, measure) in enumerate(columns):
        table.setdefault(method, {})[measure] = _entry(
            found, index, first[..., index], second[..., index], paired
        )
    return {
        "paired_seeds": paired,
        "accuracy": _entry(
            accuracy, 0, _correct(reference)[..., 0], _correct(group)[..., 0], paired
        ),
        **_label_differences(reference, group, paired, resamples),
        "table": table,
    }


def _label_differences(
    reference: Group, group: Group, paired: bool, resamples: int
) -> dict[str, dict[str, Any]]:
    """mAP and F1; without intervals where an older evaluation lacks the probabilities."""
    own, others = reference.probabilities, group.probabilities
    if own is None or others is None:
        first, second = _label_means(reference), _label_means(group)
        shared = {name: second[name] - first[name] for name in second if name in first}
        entries = {name: _without_interval(value) for name, value in shared.items()}
        return {"labels": entries} if entries else {}
    truth = reference.members[0].scores.truth
    found = label_difference(own, others, truth, paired, resamples)
    rows = zip(NAMES, *(part.tolist() for part in found), strict=True)
    return {
        "labels": {
            name: {"mean": mean, "low": low, "high": high, "p": p, "images": images}
            for name, mean, low, high, p, images in rows
            if not np.isnan(mean)
        }
    }


def _without_interval(value: float) -> dict[str, Any]:
    return {"mean": value, "low": None, "high": None, "p": None, "images": None}


def _label_means(group: Group) -> dict[str, float]:
    runs = [label_entries(member.facts) for member in group.members]
    names = [name for name in runs[0] if all(name in run for run in runs)]
    return {name: float(np.mean([run[name]["mean"] for run in runs])) for name in names}


def _correct(group: Group) -> Array:
    return np.stack([member.scores.correct[:, None] for member in group.members])


def _entry(
    found: Difference, index: int, first: Array, second: Array, paired: bool
) -> dict[str, Any]:
    values = {name: float(getattr(found, name)[index]) for name in ("mean", "low", "high", "p")}
    entry: dict[str, Any] = {
        name: None if np.isnan(value) else value for name, value in values.items()
    }
    entry["images"] = int(found.images[index])
    if paired and len(first) > 1 and entry["images"]:
        known = np.isfinite(first).all(axis=0) & np.isfinite(second).all(axis=0)
        entry["by_seed"] = (second - first)[:, known].mean(axis=1).tolist()
    return entry


def explanation(found: dict[str, Any]) -> str:
    """What the tables' figures mean, and how far they can be trusted."""
    fewest = min(len(group["runs"]) for group in [found["reference"], *found["groups"]])
    text = (
        f"Difference ± half its 95 % bootstrap interval ({found['resamples']} replicates, paired "
        f"over {found['images']} images). It is bold if its interval excludes zero: green "
        "is better, red is worse."
    )
    rows = [row for group in found["groups"] for row in group["table"].values()]
    if all(entry["mean"] is None for row in rows for entry in row.values()):
        text += " No measure of explanations has a value: most need a foreground."
    elif any(row.get(ENERGY, {"mean": 0.0})["mean"] is None for row in rows):
        text += " Without a foreground, only measures that need none are shown."
    entries = [e for group in found["groups"] for e in label_entries(group).values()]
    if any(entry["low"] is None for entry in entries):
        text += " mAP and F1 have no interval: run sib evaluate again, which now computes it."
    if fewest == 1:
        return text + " A group has one seed: the interval says nothing about other seeds."
    return text + f" Seeds are drawn too; with {fewest} of them the interval is rough."
