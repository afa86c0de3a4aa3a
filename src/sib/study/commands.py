"""What is to be done for a run, as commands."""

from sib.study.description import Study
from sib.study.plan import VALIDATION, Run
from sib.study.pool import Command, Job


def job(run: Run, splits: tuple[str, ...]) -> Job:
    """Train a run, or go on with it, and evaluate it on the splits; what is done is left out."""
    return Job(run.name, run.log, lambda: next_command(run, splits))


def splits_first(described: Study, run: Run) -> tuple[str, ...]:
    """What a run is evaluated on at once: grid points on test only after they were chosen."""
    (points,) = (s.points for s in described.settings if s.name == run.setting)
    if len(points) == 1:
        return ("test",)
    return (VALIDATION,) if described.needs_energy else ()


def next_command(run: Run, splits: tuple[str, ...]) -> Command | None:
    """The first command of a run that is not done yet; None where all are."""
    train = ["train", *run.arguments, *(["--resume"] if run.is_started() else [])]
    if not run.is_trained():
        return train
    for split in splits:
        if not run.is_evaluated(split):
            return _evaluate(run, split) if run.weights.exists() else train
    return None


def _evaluate(run: Run, split: str) -> Command:
    place = ["--split", split, "--out", str(run.evaluation_folder(split))]
    machine = ["--root", str(run.config.root), "--device", run.config.device]
    # the study's file names the architecture, as a command line would
    trust = ["--trust-code"] if ":" in run.config.arch else []
    return ["evaluate", str(run.folder), *run.evaluation.arguments, *place, *machine, *trust]
