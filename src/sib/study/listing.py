"""The runs of a study and their states, as lines."""

from rich.console import Console

from sib.study.commands import splits_first
from sib.study.description import Study
from sib.study.plan import Run

STATES = ("finished", "trained, to be evaluated", "interrupted", "to be done")


def list_runs(
    described: Study, runs: list[Run], slots: list[dict[str, str]], console: Console
) -> None:
    """Print a line for each run, and one with the counts."""
    states = [state(described, run) for run in runs]
    width = max(len(run.name) for run in runs)
    lines = [f"{run.name:<{width}}  {each}" for run, each in zip(runs, states, strict=True)]
    counts = [f"{states.count(each)} {each}" for each in STATES if each in states]
    threads = slots[0]["OMP_NUM_THREADS"]
    lines.append(
        f"{len(runs)} runs in {described.out}: {'; '.join(counts)}. {len(slots)} at a time, "
        f"{threads} CPU thread{'s' * (threads != '1')} each{_gpus(slots)}; compared with "
        f"{described.reference}; grids are chosen by {described.choose_by} on validation"
    )
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _gpus(slots: list[dict[str, str]]) -> str:
    count = len({slot["CUDA_VISIBLE_DEVICES"] for slot in slots if "CUDA_VISIBLE_DEVICES" in slot})
    return f", on {count} GPU{'s' * (count != 1)}" if count else ""


def state(described: Study, run: Run) -> str:
    """One of `STATES`; a grid point that was not chosen is finished without a test."""
    if run.is_trained():
        splits = splits_first(described, run)
        if all(run.is_evaluated(split) for split in splits):
            return STATES[0]
        return STATES[1] if run.weights.exists() else STATES[3]  # without weights: train again
    return STATES[2] if run.is_started() else STATES[3]
