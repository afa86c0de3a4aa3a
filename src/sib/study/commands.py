"""The commands that remain to be done for a run."""

from sib.study.description import Study
from sib.study.joined import Command, one_after_another
from sib.study.plan import VALIDATION, Run
from sib.study.pool import Job


def job(run: Run, splits: tuple[str, ...]) -> Job:
    """Train a run, or continue it, and evaluate it on the splits; finished parts are left out."""
    return Job(run.name, run.log, lambda: next_command(run, splits))


def splits_first(described: Study, run: Run) -> tuple[str, ...]:
    """The splits to evaluate a run on at once: grid points on test only after they were chosen."""
    (points,) = (s.points for s in described.settings if s.name == run.setting)
    if len(points) == 1:
        return ("test",)
    return (VALIDATION,) if described.needs_energy else ()


def next_command(run: Run, splits: tuple[str, ...]) -> Command | None:
    """The remaining commands of a run, for one process; None if all is done."""
    left = [_evaluate(run, split) for split in splits if not run.is_evaluated(split)]
    if "test" in splits and not run.is_audited():
        left.append(_audit(run))
    if run.is_trained() and (run.weights.exists() or not left):
        commands = left
    else:
        resume = ["--resume"] if run.is_started() else []
        train = ["train", *run.arguments, *resume]
        audit = [_audit(run)] if "test" in splits and run.audit else []
        commands = [train, *(_evaluate(run, split) for split in splits), *audit]
    return one_after_another(commands) if commands else None


def _evaluate(run: Run, split: str) -> list[str]:
    place = ["--split", split, "--out", str(run.evaluation_folder(split))]
    return ["evaluate", str(run.folder), *run.evaluation.arguments, *place, *_machine(run)]


def _audit(run: Run) -> list[str]:
    return ["audit", str(run.folder), *_machine(run)]


def _machine(run: Run) -> list[str]:
    # the study's file names the architecture, as a command line would
    trust = ["--trust-code"] if ":" in run.config.arch else []
    return ["--root", str(run.config.root), "--device", run.config.device, *trust]
