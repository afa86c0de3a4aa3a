"""A progress bar on a terminal, nothing in a log."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


def make_bar(console: Console, unit: str, markup: bool = False) -> Progress:
    """A bar that shows what is done, how many of how many, and the remaining time.

    Args:
        console: where it appears, and vanishes at its end.
        unit: what is counted.
        markup: whether the description may contain rich's markup.
    """
    return Progress(
        TextColumn("{task.description}", markup=markup),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(f"{unit}, remaining"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


@contextmanager
def progress(console: Console, what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar over images; what it yields is called with every advance."""
    with make_bar(console, "images") as bar:
        task = bar.add_task(what, total=total)
        yield lambda count: bar.advance(task, count)
