"""``sib study``: from a file to runs, tables, a figure and a page."""

import json
from typing import Any

from rich.console import Console

from sib.config.evaluate import ReportConfig
from sib.config.study import StudyConfig
from sib.report.command import report
from sib.study.commands import job, splits_first
from sib.study.description import Study, read_study
from sib.study.front import draw_front
from sib.study.listing import list_runs
from sib.study.plan import Run, check_runs, check_unused, plan_runs
from sib.study.pool import Job, Pool, places
from sib.study.progress import display
from sib.study.selection import Choice, choose
from sib.study.summary import reported_runs, summarise
from sib.study.tables import show
from sib.utils.errors import InputError, ProblemsFound
from sib.utils.files import write_whole
from sib.utils.locks import FolderLock
from sib.utils.signals import Stopped

RESULT = "study.json"
GALLERY_RUNS = 8
"""Runs in the page's galleries; tables and curves show all."""


def study(config: StudyConfig, console: Console) -> None:
    """Do what is left of a study, and show what it found.

    Raises:
        InputError: bad input, in one sentence, before anything runs.
        ProblemsFound: a run failed; the others are done.
        Stopped: SIGINT or SIGTERM came; the runs are saved.
    """
    described = read_study(config.file)
    runs = plan_runs(described)
    slots = places(config.parallel or described.parallel, runs[0].config.device)
    if config.dry_run:
        check_runs(described, runs)
        list_runs(described, runs, slots, console)
        return
    if config.finished:
        check_runs(described, runs)
        _report_finished(described, runs, console)
        return
    lock = FolderLock(described.out, "name another folder under out")
    try:
        _begin(described, runs, lock)
        _work(described, runs, slots, console)
    finally:
        lock.release()


def _begin(described: Study, runs: list[Run], lock: FolderLock) -> None:
    """All checks; then the folder, which only this process may work in."""
    if described.out.is_dir():
        lock.take()
        check_unused(runs)
    check_runs(described, runs)
    try:
        (described.out / "logs").mkdir(parents=True, exist_ok=True)
        lock.take()
        write_whole(described.out / "study.yaml", described.text)
    except OSError as error:
        raise InputError(
            f"{described.file}: out {described.out} cannot be written: {error.strerror}"
        ) from None


def _work(described: Study, runs: list[Run], slots: list[dict[str, str]], console: Console) -> None:
    jobs = [job(run, splits_first(described, run)) for run in runs]
    _run(jobs, runs, slots, console)
    choices = choose(described, runs)
    bad = {each.name for each in jobs if each.failure}
    chosen = [run for choice in choices for run in choice.chosen.runs if run.name not in bad]
    later = [job(run, ("test",)) for run in chosen]
    _run(later, runs, slots, console)
    failed = [each.failure for each in (*jobs, *later) if each.failure]
    _conclude(described, choices, failed, console)
    if failed:
        raise ProblemsFound(_told(failed, len(runs)))


def _report_finished(described: Study, runs: list[Run], console: Console) -> None:
    """What is known so far; a grid counts once all of its points are there to choose from.

    It takes no lock: every file is replaced as a whole, so a study may be at work meanwhile.
    """
    choices = [choice for choice in choose(described, runs) if not choice.incomplete]
    count = len(reported_runs(choices))
    if not count:
        raise InputError(
            f"{described.out} holds no finished run of {described.file}; without --finished they "
            "are made"
        )
    console.print(
        f"finished are {count} of {len(runs)} runs in {described.file}: these alone count below",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    _conclude(described, choices, [], console)


def _conclude(described: Study, choices: list[Choice], failed: list[str], console: Console) -> None:
    """Tables, figure and page of the chosen runs."""
    _write(described, summarise(described, choices, failed), console)
    reported = [run for run in reported_runs(choices) if run.split_seed == choices[0].split_seed]
    if reported:
        _report(described, reported, console)


def _run(jobs: list[Job], runs: list[Run], slots: list[dict[str, str]], console: Console) -> None:
    """Do the jobs that are not done."""
    left = [each for each in jobs if _is_left(each)]
    if not left:
        return
    with display(console, len(left)) as told:
        try:
            Pool(slots, told).work(left)
        except Stopped as stop:
            trained = sum(run.is_trained() for run in runs)
            raise type(stop)(
                stop.number,
                f"stopped; {trained} of {len(runs)} runs are trained and what the others had "
                "reached is saved: the same command goes on",
            ) from None


def _is_left(each: Job) -> bool:
    return each.next_command() is not None


def _write(described: Study, found: dict[str, Any], console: Console) -> None:
    show(found, console)
    try:
        write_whole(described.out / RESULT, json.dumps(found, indent=1))
        if not draw_front(described.out / "front.png", found):
            (described.out / "front.png").unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{described.out} cannot be written: {error.strerror}") from None
    console.print(f"written to {described.out}", highlight=False, markup=False, soft_wrap=True)


def _report(described: Study, runs: list[Run], console: Console) -> None:
    """The page about the chosen runs of the first split, the reference's first."""
    ordered = sorted(runs, key=lambda run: run.setting != described.reference)
    config = ReportConfig(
        runs=tuple(run.folder for run in ordered),
        out=described.out / "report.html",
        gallery_runs=GALLERY_RUNS,
        device=runs[0].config.device,
        trust_code=any(":" in run.config.arch for run in runs),
    )
    report(config, console)


def _told(failed: list[str], total: int) -> str:
    count = f"{len(failed)} of {total} runs failed, the others are done: "
    return count + "; ".join(failed)
