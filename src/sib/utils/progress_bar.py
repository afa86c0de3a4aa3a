"""Progress with the time that is left: a bar on a terminal, nothing in a log."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from sib.utils.terminal import Terminal

LATEST = 1.0
"""Seconds before a bar appears: work that is done by then shows none."""
Item = TypeVar("Item")


class TimeLeft(TimeRemainingColumn):
    """The remaining time, from the first advance on; rich's own needs two of them."""

    def render(self, task: Task) -> Text:
        """The time, or dashes as long as nothing is known."""
        advanced = task.completed - task.fields.get("done", 0)
        if task.time_remaining is not None or not advanced or task.elapsed is None:
            return super().render(task)
        left = timedelta(seconds=round(task.elapsed / advanced * (task.remaining or 0)))
        return Text(str(left), style="progress.remaining")


def make_bar(console: Console, unit: str) -> Progress:
    """A bar with a count and the remaining time, which vanishes at the end.

    Args:
        console: where to draw; beside the output, where that is a table for programs.
        unit: of the count, such as ``"images"``.
    """
    count = (MofNCompleteColumn(), TextColumn(f"{unit},"))
    return _bar(console, *count, TimeLeft(), TextColumn("left"))


def _bar(console: Console, *columns: ProgressColumn) -> Progress:
    place = (isinstance(console, Terminal) and console.aside) or console
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        *columns,
        console=place,
        transient=True,
        disable=not place.is_terminal or place.is_dumb_terminal,
    )


@contextmanager
def bytes_progress(console: Console, what: str) -> Iterator[Callable[[int, int | None], None]]:
    """A bar over bytes; what it yields is called with those done and, if known, all of them."""
    with _bar(console, DownloadColumn(), TimeRemainingColumn()) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def progress(
    console: Console, what: str, total: int, unit: str = "images"
) -> Iterator[Callable[[int], None]]:
    """A bar with the remaining time; what it yields is called with every advance."""
    with make_bar(console, unit) as bar:
        task = bar.add_task(what, total=total)
        yield lambda count: bar.advance(task, count)


def tracked(
    console: Console,
    what: str,
    items: Iterable[Item],
    total: int,
    done: int = 0,
    unit: str = "batches",
) -> Iterator[Item]:
    """Items behind a bar, which appears once they take longer than `LATEST`.

    Args:
        console: where to draw.
        what: is done with them.
        items: to pass on.
        total: number of items, those of before included.
        done: number of those that were done before.
        unit: of the count.
    """
    start = time.monotonic()
    with make_bar(console, unit) as bar:
        task = bar.add_task(what, total=total, completed=done, visible=False, done=done)
        for item in items:
            yield item
            bar.update(task, advance=1, visible=time.monotonic() - start > LATEST)
