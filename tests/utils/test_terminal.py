"""Names in files cannot command the terminal, and what it shows fits it."""

import sys
from io import BytesIO, StringIO, TextIOWrapper

import pytest
from PIL import Image
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from sib.cli.main import main
from sib.evaluation.predict import _table
from sib.utils.progress_bar import TimeLeft
from sib.utils.terminal import Terminal

EVIL = "\x1b]0;owned\x07\x1b[31mred\x9b2J\u202egnp.exe"


def screen(printed, **options):
    file = StringIO()
    Terminal(file=file, width=200, **options).print(printed)
    return file.getvalue()


def assert_tame(text):
    assert "red" in text and "\ufffd" in text
    assert not set("\x07\x9b\u202e") & set(text) and "\x1b[31m" not in text and "\x1b]" not in text


def test_text_and_tables_are_tamed():
    table = Table(EVIL)
    table.add_row(EVIL)
    assert_tame(screen(EVIL))
    assert_tame(screen(table))


def test_own_styles_and_lines_stay():
    text = screen("[bold]one[/]\ntwo", force_terminal=True)
    assert "\x1b[1mone\x1b[0m\ntwo" in text


def test_commands_print_tame_names(tmp_path, capsys):
    folder = tmp_path / "train" / EVIL
    folder.mkdir(parents=True)
    (tmp_path / "test" / "a").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(folder / f"{EVIL}.png")
    assert main(["train", "--data", str(tmp_path), "--out", str(tmp_path / "run")]) == 2
    assert_tame(capsys.readouterr().err)
    assert main(["evaluate", str(tmp_path / EVIL)]) == 2
    assert_tame(capsys.readouterr().err)


def test_names_that_are_not_unicode_are_printed():
    assert screen("caf\udce9.png") == "caf\ufffd.png\n"


def test_a_terminal_of_a_small_encoding_gets_what_it_can_show(monkeypatch):
    stream = TextIOWrapper(BytesIO(), encoding="latin-1")
    monkeypatch.setattr(sys, "stdout", stream)
    assert main(["recipes"]) == 0
    stream.flush()
    assert b"cub200/resnet50" in stream.buffer.getvalue()


def test_the_time_left_is_known_from_the_first_advance_on():
    clock = iter(range(0, 1000, 10)).__next__
    bar = Progress(console=Console(file=StringIO()), get_time=clock, auto_refresh=False)
    bar.add_task("drawing", total=4, completed=1, done=1)
    (known,) = bar.tasks
    assert TimeLeft().render(known).plain == "-:--:--"
    known.completed += 1  # one item of three since the start, and time has passed
    elapsed = known.elapsed
    assert elapsed > 0 and known.time_remaining is None
    hours, minutes, seconds = map(int, TimeLeft().render(known).plain.split(":"))
    assert hours * 3600 + minutes * 60 + seconds == pytest.approx(2 * elapsed, abs=50)


def test_predictions_fit_80_columns_with_whole_names():
    classes = [{"class": f"a class {k}", "probability": 0.3} for k in range(3)]
    rows = [{"image": "a/long/folder/of/photographs/and/a/long-name-0001.jpeg", "classes": classes}]
    console = Console(file=StringIO(), width=80)
    console.print(_table(rows))
    text = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= 80 and "…" not in text
    assert "probability" in text and "a class 1 0.300," in text and "class 2 0.300" in text
