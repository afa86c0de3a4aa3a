"""Measuring the explanations of a classifier over a split."""

import sys
import time
from typing import Any

import numpy as np
import torch
from rich.console import Console

from sib import distributed
from sib.config.evaluate import AttributionConfig, EvaluateConfig
from sib.data import Splits
from sib.data.annotation_notes import sentences
from sib.data.understood import plural, remarks, understood
from sib.evaluation.checkpoint import Checkpoint
from sib.evaluation.classes import order_note, with_classes
from sib.evaluation.data import check_classes, open_run_data
from sib.evaluation.from_options import open_from_options
from sib.evaluation.label_intervals import NAMES, label_interval
from sib.evaluation.maps import layer_of, print_layer
from sib.evaluation.score_split import score_split
from sib.evaluation.scores import Scores
from sib.evaluation.statistics import mean_interval
from sib.evaluation.stored import EVALUATION, FOREGROUNDS
from sib.evaluation.tables import evaluation_rows, evaluation_table
from sib.explain import default_methods
from sib.runs.versions import versions
from sib.utils.terminal import show_tables, suggest

UNION = "the union of the objects of an image, whatever their labels"
OF_LABEL = "the objects of the explained label; the union of all where an image has none of these"
LATER = {"masks": AttributionConfig.masks}
"""Options that older evaluations lack, with the values that stand for them."""


def evaluate(config: EvaluateConfig, console: Console) -> dict[str, Any]:
    """Measure, and write ``evaluation.json`` and ``evaluation.csv``.

    Args:
        config: the command's options.
        console: for the progress bar.

    Returns:
        The content of ``evaluation.json``, and the ``folder`` that it was written to.

    Raises:
        InputError: bad input, in one sentence.
    """
    device = distributed.join(config.device)
    checkpoint, splits = distributed.raise_on_all_ranks(lambda: _open(config, device, console))
    start = time.perf_counter()
    scores, pixels, skipped, foregrounds = score_split(config, checkpoint, splits, device, console)
    if skipped:
        info(
            console,
            f"left out: {plural(len(skipped))} that cannot be read, the first: {skipped[0]}",
        )
    if any(foregrounds.values()):
        info(console, _describe_foregrounds(foregrounds))
    layer = layer_of(checkpoint)
    by_label = foregrounds["of_label"] > 0
    found = summarise(scores) | {
        "format": EVALUATION.format,
        **checkpoint.record(),
        "layers": None if layer is None else layer.as_dict(),
        **(_foreground_facts(foregrounds) if checkpoint.label_kind == "multi" else {}),
        "classes": splits.classes,
        "options": options(config) | ({FOREGROUNDS: "of label"} if by_label else {}),
        "unavailable": [name for name in default_methods() if name not in methods_of(scores)],
        "data": splits.description,
        "pixels_sha256": pixels,
        "skipped": skipped,
        "device": str(device),
        "processes": distributed.size(),
        "seconds": round(time.perf_counter() - start, 1),
        "command": ["sib", *sys.argv[1:]],
        "versions": versions(),
    }
    folder = config.out or checkpoint.folder
    distributed.raise_on_all_ranks(
        lambda: EVALUATION.save(folder, scores, found) if distributed.is_main_process() else None
    )
    return found | {"folder": str(folder)}


def _foreground_facts(counts: dict[str, int]) -> dict[str, Any]:
    """The record of the foregrounds of several labels an image."""
    return {"foregrounds": OF_LABEL if counts["of_label"] else UNION, "foreground_images": counts}


def _describe_foregrounds(counts: dict[str, int]) -> str:
    """Which foregrounds the metrics of localisation took, in words."""
    if not counts["of_label"]:
        return f"foregrounds: {UNION}; no annotation names the class of an object"
    return (
        f"foregrounds: of the explained label in {plural(counts['of_label'])}; of all objects in "
        f"{counts['union']}, whose annotation has no object of that label"
    )


def _open(
    config: EvaluateConfig, device: torch.device, console: Console
) -> tuple[Checkpoint, Splits]:
    """The classifier and its images, with a line about each."""
    checkpoint = open_from_options(
        config,
        config.run,
        device,
        layer=config.layer,
        label_kind=None if config.labels is None else "multi",
    )
    console.print(checkpoint.input, highlight=False, markup=False, soft_wrap=True)
    checkpoint = with_classes(checkpoint, config.classes)
    splits = open_run_data(
        checkpoint,
        config.data,
        config.root,
        masks=config.masks,
        annotations=config.annotations,
        labels=config.labels,
        split=config.split,
        skip_bad=config.on_bad_image == "skip",
        info=lambda sentence: info(console, sentence),
    )
    for sentence in sentences(splits.description):
        info(console, sentence)
    check_classes(checkpoint, splits)
    info(console, f"{splits.name}: {understood(splits)}")
    if note := order_note(checkpoint, splits.classes):
        info(console, note)
    for remark in remarks(splits):
        info(console, remark)
    print_layer(console, layer_of(checkpoint), config.methods)
    return checkpoint, splits


def info(console: Console, sentence: str) -> None:
    """Print one sentence."""
    console.print(sentence, highlight=False, markup=False, soft_wrap=True)


def evaluate_and_show(config: EvaluateConfig, console: Console) -> None:
    """``sib evaluate``: `evaluate`, and its table on the screen."""
    found = evaluate(config, console)
    if not distributed.is_main_process():
        return
    show_tables(console, [evaluation_table(found)], evaluation_rows(found))
    console.print(f"written to {found['folder']}", highlight=False, markup=False, soft_wrap=True)
    if config.run.is_dir():
        suggest(console, ("report", config.run), ("compare", config.run, "OTHER_RUN"))


def _label_figures(scores: Scores) -> dict[str, Any]:
    """mAP and F1 of several labels an image with their intervals; none for one class."""
    if scores.probabilities is None:
        return {}
    interval = label_interval(scores.probabilities, scores.truth)
    rows = zip(NAMES, *(part.tolist() for part in interval[:3]), strict=True)
    return {"labels": {name: _entry(*row) for name, *row in rows if not np.isnan(row[0])}}


def summarise(scores: Scores) -> dict[str, Any]:
    """Accuracy, and each method's measures, as means with 95 % intervals over images."""
    accuracy = mean_interval(scores.correct[:, None])
    table: dict[str, dict[str, Any]] = {method: {} for method in methods_of(scores)}
    if scores.columns:
        interval = mean_interval(scores.values)
        for (method, measure), mean, low, high, images in zip(
            scores.columns, *(part.tolist() for part in interval), strict=True
        ):
            table[method][measure] = _entry(mean, low, high) | {
                "images": images,
                "without_value": len(scores.names) - images,
            }
    share = np.array(scores.foreground_share)
    known = share[np.isfinite(share)]
    return {
        "images": len(scores.names),
        "annotated": len(known),
        "foreground_share": float(known.mean()) if len(known) else None,
        "accuracy": _entry(*(part.item() for part in accuracy[:3])),
        **_label_figures(scores),
        "table": table,
    }


def _entry(mean: float, low: float, high: float) -> dict[str, float | None]:
    values = {"mean": mean, "low": low, "high": high}
    return {name: None if np.isnan(value) else value for name, value in values.items()}


def methods_of(scores: Scores) -> list[str]:
    """The methods, in order."""
    return list(dict.fromkeys(method for method, _ in scores.columns))


def options(config: EvaluateConfig) -> dict[str, Any]:
    """What must be equal for two evaluations to be compared."""
    return {
        "split": config.split,
        "limit": config.limit,
        "target": config.target,
        "normalize": "none",
        **{
            name: value
            for name, value in vars(config.attribution).items()
            if name not in LATER or value != LATER[name]
        },
    }
