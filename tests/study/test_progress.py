"""What a person and a log see of a study under way."""

from io import StringIO
from pathlib import Path

from rich.console import Console

from sib.study.pool import Job
from sib.study.progress import display


def shown(terminal, *events):
    console = Console(file=StringIO(), width=100, force_terminal=terminal, color_system=None)
    with display(console, 5) as told:
        for in_work, ended in events:
            told(in_work, ended)
            told.bar.refresh()
    return console.file.getvalue()


def job(name, failure=None):
    return Job(name, Path(f"{name}.log"), lambda: None, failure)


def test_a_terminal_shows_one_bar_with_the_names_in_flight():
    text = shown(True, (["a", "b"], None), (["b", "c", "d", "e"], job("a")))
    assert "a, b" in text and "b, c, d and 1 more" in text and "1/5" in text
    assert "done a" not in text


def test_a_log_gets_a_line_for_each_run_that_ended():
    text = shown(False, (["a", "[b]"], None), (["[b]"], job("a")), ([], job("[b]", "[b]: lost")))
    assert text == "done a (1 of 5)\nfailed [b]: lost (2 of 5)\n"


def test_a_failure_is_told_on_a_terminal_too():
    assert "failed a: lost (1 of 5)" in shown(True, ([], job("a", "a: lost")))
