"""Evaluations that are missing, made before all are read."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from sib.config.evaluate import EvaluateConfig
from sib.evaluation.evaluate import evaluate
from sib.evaluation.files import RESULT
from sib.evaluation.stored import Evaluation, read_stored
from sib.runs.reader import is_run, read_run
from sib.utils.errors import InputError


def read_or_evaluate(
    folders: Sequence[Path],
    device: str,
    console: Console,
    metrics: tuple[str, ...] = (),
    trust_code: bool = False,
) -> list[Evaluation]:
    """The evaluation of each run folder, or of each folder that ``sib evaluate`` wrote.

    Args:
        folders: run folders, or folders that an evaluation was written into.
        device: for runs that must be evaluated.
        console: says so.
        metrics: measures that all must have; none asked for where empty.
        trust_code: whether a module that a run names as its architecture may be imported.

    Raises:
        InputError: a folder is neither, or a file is damaged.
    """
    for folder in folders:  # all are looked at before any is evaluated
        if not is_run(folder) and not (folder / RESULT).exists():
            read_run(folder)  # says what is missing
    config = EvaluateConfig(run=Path(), device=device, trust_code=trust_code)
    return [_read_or_evaluate(replace(config, run=folder), console, metrics) for folder in folders]


def _read_or_evaluate(
    config: EvaluateConfig, console: Console, metrics: tuple[str, ...]
) -> Evaluation:
    folder = config.run
    if not (folder / RESULT).exists():
        if metrics:
            config = replace(config, metrics=metrics)
        console.print(f"{folder} was not evaluated yet", highlight=False, soft_wrap=True)
        evaluate(config, console)
    stored = read_stored(folder)
    had = {measure for _, measure in stored.scores.columns}
    for metric in metrics:
        if metric not in had:
            raise InputError(
                f"{folder} was evaluated without {metric}: run sib evaluate {folder} --metrics "
                f"{' '.join([*had, metric])}"
            )
    return stored
