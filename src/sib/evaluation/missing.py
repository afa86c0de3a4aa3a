"""Evaluates the runs whose evaluation is missing, before all are read."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from sib.config.evaluate import EvaluateConfig
from sib.evaluation.evaluate import evaluate
from sib.evaluation.stored import EVALUATION, Evaluation, read_stored
from sib.runs.archive import archived_study, overlaid
from sib.runs.reader import is_run, read_run
from sib.utils.errors import InputError


def read_or_evaluate(
    folders: Sequence[Path],
    device: str,
    console: Console,
    metrics: tuple[str, ...] = (),
    trust_code: bool = False,
    data: str | None = None,
    layer: str | None = None,
) -> list[Evaluation]:
    """The evaluation in each run folder, or in each folder that ``sib evaluate`` wrote.

    Args:
        folders: run folders, which may exist only in their study's archive, or output folders of an
            evaluation.
        device: for runs that must be evaluated.
        console: reports such runs.
        metrics: measures that all must have; empty for no such demand.
        trust_code: whether to import the module of an architecture that a run names.
        data: data set of the runs that must be evaluated. Default: each run's own.
        layer: module for class activation maps that all must have been evaluated with. Default:
            each run's own.

    Raises:
        InputError: a folder is neither, or a file is damaged.
    """
    with ExitStack() as stack:
        places = unpacked(folders, stack)
        config = EvaluateConfig(
            run=Path(), device=device, trust_code=trust_code, data=data, layer=layer
        )
        found = _read_all(places, config, console, metrics)
    return [_renamed(item, folder) for item, folder in zip(found, folders, strict=True)]


def unpacked(folders: Sequence[Path], stack: ExitStack) -> list[Path]:
    """Where to read each run; those only in a study's archive are elsewhere for now."""
    studies = [archived_study(folder) for folder in folders]
    opened = {study: stack.enter_context(overlaid(study)) for study in {*studies} if study}
    return [
        opened[study] / "runs" / folder.name if study else folder
        for folder, study in zip(folders, studies, strict=True)
    ]


def _renamed(stored: Evaluation, folder: Path) -> Evaluation:
    run = stored.run._replace(path=folder) if stored.run else None
    return stored._replace(folder=folder, run=run)


def _read_all(
    folders: Sequence[Path], config: EvaluateConfig, console: Console, metrics: tuple[str, ...]
) -> list[Evaluation]:
    for folder in folders:  # all are checked before any is evaluated
        if not is_run(folder) and not EVALUATION.exists(folder):
            read_run(folder)  # says what is missing
    return [_read_or_evaluate(replace(config, run=folder), console, metrics) for folder in folders]


def _read_or_evaluate(
    config: EvaluateConfig, console: Console, metrics: tuple[str, ...]
) -> Evaluation:
    folder = config.run
    if not EVALUATION.exists(folder):
        if metrics:
            config = replace(config, metrics=metrics)
        console.print(f"{folder} was not evaluated yet", highlight=False, soft_wrap=True)
        evaluate(config, console)
    elif config.data is not None:
        console.print(
            f"{folder} was evaluated before; its measures are from then, and "
            f"--data {config.data} is not used for them",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
    stored = read_stored(folder)
    layers = stored.facts.get("layers")
    own = layers.get("layer") if isinstance(layers, dict) else None
    if config.layer is not None and own != config.layer:
        raise InputError(
            f"{folder} was evaluated with {own or 'another layer'}: run sib evaluate {folder} "
            f"--layer {config.layer}"
        )
    had = {measure for _, measure in stored.scores.columns}
    for metric in metrics:
        if metric not in had:
            raise InputError(
                f"{folder} was evaluated without {metric}: run sib evaluate {folder} --metrics "
                f"{' '.join([*had, metric])}"
            )
    return stored
