"""``sib study``: from a file to runs, tables, a figure and a page."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from sib.config.report import ReportConfig
from sib.config.study import StudyConfig
from sib.report.command import report
from sib.runs.archive import restore
from sib.study.cluster import ClusterPool
from sib.study.commands import job, splits_first
from sib.study.description import Study, read_study
from sib.study.front import draw_front
from sib.study.listing import list_runs
from sib.study.packing import pack
from sib.study.plan import (
    Run,
    check_records,
    check_runs,
    check_unused,
    plan_runs,
    with_archive,
)
from sib.study.pool import Job, Pool, places
from sib.study.progress import display
from sib.study.selection import Choice, choose
from sib.study.summary import reported_runs, summarise
from sib.study.tables import show
from sib.utils.errors import InputError, ProblemsFound
from sib.utils.files import write_whole
from sib.utils.locks import FolderLock
from sib.utils.signals import Stopped
from sib.utils.terminal import suggest

MakePool = Callable[[int, Callable[[list[str], Job | None], None]], Pool]
"""Makes a pool, from the number of jobs and the callback that it reports to."""
RESULT = "study.json"
GALLERY_RUNS = 8
"""Most runs in the page's galleries; tables and curves show all."""


def study(config: StudyConfig, console: Console) -> None:
    """Do what is left of a study, and show the results.

    Raises:
        InputError: bad input, in one sentence, before anything runs.
        ProblemsFound: a run failed; the others are done.
        Stopped: SIGINT or SIGTERM came; the runs are saved.
    """
    described = read_study(config.file)
    runs = plan_runs(described)
    parallel = config.parallel or described.parallel
    if config.dry_run:
        slots = places(parallel, runs[0].config.device)
        with with_archive(described, runs) as known:
            check_runs(described, known)
            list_runs(described, known, slots, console)
    elif config.finished:
        _report_finished(described, runs, console)
        _pack(config, described, console)
    else:
        _work_alone(config, described, runs, _pools(config, described, runs), console)


def _pools(config: StudyConfig, described: Study, runs: list[Run]) -> MakePool:
    """Make the pool that works through runs, on this machine or on a cluster."""
    parallel = config.parallel or described.parallel
    if config.launcher == "local":
        slots = places(parallel, runs[0].config.device)
        return lambda count, report: Pool(slots, report)
    folder = described.out / "logs" / "cluster"
    return lambda count, report: ClusterPool(config.slurm, folder, parallel or count, report)


def _work_alone(
    config: StudyConfig, described: Study, runs: list[Run], pools: MakePool, console: Console
) -> None:
    """Do what is left, while this process alone works in the folder."""
    lock = FolderLock(described.out, "name another folder under out")
    try:
        _begin(described, runs, lock)
        failed = _work(described, runs, pools, console)
        _pack(config, described, console)
    finally:
        lock.release()
    if failed:
        raise ProblemsFound(_failures(failed, len(runs)))


def _begin(described: Study, runs: list[Run], lock: FolderLock) -> None:
    """Check everything; then prepare the folder, locked, with the packed runs restored."""
    if described.out.is_dir():
        lock.acquire()
        check_unused(runs)
    with with_archive(described, runs) as known:
        check_runs(described, known)
    try:
        (described.out / "logs").mkdir(parents=True, exist_ok=True)
        lock.acquire()
        write_whole(described.out / "study.yaml", described.text)
    except OSError as error:
        raise InputError(
            f"{described.file}: out {described.out} cannot be written: {error.strerror}"
        ) from None
    restore(described.out)


def _work(described: Study, runs: list[Run], pools: MakePool, console: Console) -> list[str]:
    """Do the remaining runs and report all of them.

    Returns:
        A sentence for each run that failed.
    """
    jobs = [job(run, splits_first(described, run)) for run in runs]
    _run(jobs, runs, pools, console)
    choices = choose(described, runs)
    bad = {each.name for each in jobs if each.failure}
    chosen = [run for choice in choices for run in choice.chosen.runs if run.name not in bad]
    later = [job(run, ("test",)) for run in chosen]
    _run(later, runs, pools, console)
    failed = [each.failure for each in (*jobs, *later) if each.failure]
    _conclude(described, choices, failed, console)
    return failed


def _report_finished(described: Study, runs: list[Run], console: Console) -> None:
    """Report what is known so far; a grid counts once all of its points have been trained.

    It takes no lock, because every file is replaced as a whole; a study may be running meanwhile.
    It needs no data set, because all figures come from the records.
    """
    with with_archive(described, runs) as known:
        check_records(described, known)
        choices = [choice for choice in choose(described, known) if not choice.incomplete]
        count = len(reported_runs(choices))
        if not count:
            raise InputError(
                f"{described.out} holds no finished run of {described.file}; without --finished "
                "sib study makes them"
            )
        _say(
            console,
            f"{count} of {len(runs)} runs in {described.file} are finished, and only these count "
            "below",
        )
        _conclude(described, choices, [], console)


def _pack(config: StudyConfig, described: Study, console: Console) -> None:
    """Write the archive, if requested."""
    if not config.pack:
        return
    archive, count, left_out = pack(described.out)
    rest = f"; left out, since they have not ended: {', '.join(left_out)}" if left_out else ""
    _say(console, f"packed the records of {count} runs into {archive}, without weights{rest}")


def _conclude(described: Study, choices: list[Choice], failed: list[str], console: Console) -> None:
    """Tables, figure and page of the chosen runs."""
    found = summarise(described, choices, failed)
    show(found, console)
    _write(described, found, console)
    reported = [run for run in reported_runs(choices) if run.split_seed == choices[0].split_seed]
    if reported:
        _report(described, reported, console)
        suggest(console, next_step(reported))


def next_step(reported: list[Run]) -> tuple[str | Path, ...]:
    """Compare a run of each of two settings, if all have been audited; else audit them.

    A single setting that has been audited has its report next.
    """
    firsts: dict[str, Path] = {}
    for run in reported:
        firsts.setdefault(run.setting, run.config.folder)
    folders = list(firsts.values())[:2]
    if not all(run.audit for run in reported):
        return ("audit", *folders)
    return ("compare" if len(folders) > 1 else "report", *folders)


def _run(jobs: list[Job], runs: list[Run], pools: MakePool, console: Console) -> None:
    """Do the jobs that are not done."""
    left = [each for each in jobs if _is_left(each)]
    if not left:
        return
    with display(console, len(left)) as shown:
        try:
            pools(len(left), shown).work(left)
        except Stopped as stop:
            trained = sum(run.is_trained() for run in runs)
            raise type(stop)(
                stop.number,
                f"stopped; {trained} of {len(runs)} runs are trained and what the others had "
                "reached is saved: the same command continues",
            ) from None


def _is_left(each: Job) -> bool:
    return each.next_command() is not None


def _write(described: Study, found: dict[str, Any], console: Console) -> None:
    try:
        described.out.mkdir(parents=True, exist_ok=True)
        write_whole(described.out / RESULT, json.dumps(found, indent=1))
        if not draw_front(described.out / "front.png", found):
            (described.out / "front.png").unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{described.out} cannot be written: {error.strerror}") from None
    _say(console, f"written to {described.out}")


def _report(described: Study, runs: list[Run], console: Console) -> None:
    """The page about the chosen runs of the first split, the reference's first."""
    ordered = sorted(runs, key=lambda run: run.setting != described.reference)
    config = ReportConfig(
        runs=tuple(run.config.folder for run in ordered),
        out=described.out / "report.html",
        gallery_runs=GALLERY_RUNS,
        device=runs[0].config.device,
        trust_code=any(":" in run.config.arch for run in runs),
    )
    report(config, console)


def _failures(failed: list[str], total: int) -> str:
    return f"{len(failed)} of {total} runs failed, the others are done: {'; '.join(failed)}"


def _say(console: Console, line: str) -> None:
    console.print(line, highlight=False, markup=False, soft_wrap=True)
