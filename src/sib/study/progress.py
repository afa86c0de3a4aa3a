"""Shows a running study on a terminal or in a log."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from sib.study.pool import Job
from sib.utils.progress_bar import make_bar


class Display:
    """Shows what the pool reports.

    Args:
        console: console to write to.
        bar: progress bar, shown on a terminal only.
        total: number of jobs.
    """

    def __init__(self, console: Console, bar: Progress, total: int) -> None:
        self.console, self.bar, self.total = console, bar, total
        self.ended = 0
        self.task = bar.add_task("", total=total)

    def __call__(self, in_work: list[str], ended: Job | None) -> None:
        """Show what is running, and count what has ended."""
        if ended is not None:
            self.ended += 1
            self._line(ended)
        self.bar.update(self.task, completed=self.ended, description=_listed(in_work))

    def _line(self, job: Job) -> None:
        count = f"{self.ended} of {self.total}"
        if job.failure:
            text = f"[red]failed[/] {escape(job.failure)} ({count})"
        elif not self.console.is_terminal:
            text = f"done {escape(job.name)} ({count})"
        else:
            return
        self.console.print(text, highlight=False, soft_wrap=True)


@contextmanager
def display(console: Console, total: int) -> Iterator[Display]:
    """A bar over runs with the names of the running ones; plain lines without a terminal."""
    with make_bar(console, "runs") as bar:
        yield Display(console, bar, total)


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return shown + (f" and {len(names) - 3} more" if len(names) > 3 else "")
