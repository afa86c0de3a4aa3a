"""What is known about runs: their evaluations, computed where missing, and their audits."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from sib.evaluation.stored import AUDIT, EVALUATION, Evaluation, read_stored, trained_on_note
from sib.runs.archive import archived_study, overlaid
from sib.runs.reader import is_run, read_run
from sib.utils.errors import InputError
from sib.utils.files import sha256_of


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
        places = _unpacked(folders, stack)
        for place in places:  # all are checked before any is evaluated
            if place.is_file():
                raise InputError(_about_a_file(place))
            if not is_run(place) and not EVALUATION.exists(place):
                read_run(place)  # reports what is missing
        found = []
        for place in places:
            if not EVALUATION.exists(place):
                _say(console, f"{place} has no evaluation yet, and is evaluated first")
                _evaluate(place, device, console, metrics, trust_code, data, layer)
                found.append(read_stored(place))  # with its warnings on the screen
            else:
                found.append(read_stored(place))
                if note := trained_on_note(found[-1].facts):
                    _say(console, note)
                if data is not None:
                    _say(
                        console,
                        f"{place} is evaluated already, so --data {data} is not used for its "
                        "measures",
                    )
            _check_demands(found[-1], layer, metrics)
    return [_renamed(item, folder) for item, folder in zip(found, folders, strict=True)]


def _about_a_file(path: Path) -> str:
    """Explain that a file of weights is given by the folder of its evaluation."""
    folder = path.parent / f"{path.stem}-evaluation"
    if EVALUATION.exists(folder):
        return f"{path} is a file: give {folder}, which sib evaluate wrote about it"
    return f"{path} is a file: run sib evaluate {path} --data DATA, then give {folder}"


def _evaluate(
    run: Path,
    device: str,
    console: Console,
    metrics: tuple[str, ...],
    trust_code: bool,
    data: str | None,
    layer: str | None,
) -> None:
    # what evaluates is not loaded where all is evaluated already
    from sib.config.evaluate import EvaluateConfig
    from sib.evaluation.evaluate import evaluate

    config = EvaluateConfig(run=run, device=device, trust_code=trust_code, data=data, layer=layer)
    evaluate(replace(config, metrics=metrics) if metrics else config, console)


def _check_demands(stored: Evaluation, layer: str | None, metrics: tuple[str, ...]) -> None:
    """Raise InputError unless an evaluation has this layer and these measures."""
    folder = stored.folder
    layers = stored.facts.get("layers")
    own = layers.get("layer") if isinstance(layers, dict) else None
    if layer is not None and own != layer:
        raise InputError(
            f"{folder} was evaluated with {own or 'another layer'}: run sib evaluate {folder} "
            f"--layer {layer}"
        )
    had = {measure for _, measure in stored.scores.columns}
    for metric in metrics:
        if metric not in had:
            raise InputError(
                f"{folder} was evaluated without {metric}: run sib evaluate {folder} --metrics "
                f"{' '.join([*had, metric])}"
            )


def present_audits(
    folders: Sequence[Path],
    console: Console,
    otherwise: str = "behaviour is left out",
    known: Sequence[Evaluation] = (),
) -> list[Evaluation]:
    """The audits of runs if all have one; if only some do, none and a sentence.

    Args:
        folders: of the runs.
        console: for the sentence.
        otherwise: what is shown in place of all, for the sentence.
        known: audits that were read before; they are not read again.

    Raises:
        InputError: an audit is damaged.
    """
    found = {audit.folder: audit for audit in known}
    rest = [folder for folder in folders if folder not in found]
    stale = []
    with ExitStack() as stack:
        places = dict(zip(rest, _unpacked(rest, stack), strict=True))
        lacking = [folder for folder, place in places.items() if not AUDIT.exists(place)]
        for folder, place in places.items() if not lacking else ():
            audit = AUDIT.read(place)
            stale += [folder] if _is_stale(audit) else []
            found[folder] = _renamed(audit, folder)
    if stale or 0 < len(lacking) < len(folders):
        why = f"{lacking[0]} was not audited" if lacking else f"{stale[0]} has other weights now"
        _say(console, f"{otherwise}, since {why}: run sib audit")
    return [] if stale or lacking else [found[folder] for folder in folders]


def _is_stale(audit: Evaluation) -> bool:
    """Whether the weights beside an audit differ from the audited ones."""
    weights = audit.folder / str(audit.facts.get("weights"))
    return weights.is_file() and sha256_of(weights) != audit.facts.get("weights_sha256")


def _unpacked(folders: Sequence[Path], stack: ExitStack) -> list[Path]:
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


def _say(console: Console, line: str) -> None:
    console.print(line, highlight=False, markup=False, soft_wrap=True)
