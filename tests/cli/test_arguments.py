"""Mistyped options, options that every command has, and tables for programs."""

import csv
import io
import json

import pytest
from rich.table import Table

from sib.cli.arguments import ELSEWHERE, Output, check_flags, split_output
from sib.cli.main import main
from sib.config.facts import options
from sib.config.train import TrainConfig
from sib.utils.errors import InputError
from sib.utils.terminal import Terminal, show_tables


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("--lr", "--optimizer.learning-rate"),
        ("--batch", "--batch-size"),
        ("--epoch", "--epochs"),
        ("--learning_rate=1", "--optimizer.learning-rate"),
        ("--slope", "--objective.slope"),
        ("--windw-size", "--objective.window-size"),
        ("--optimiser.learning-rate", "--optimizer.learning-rate"),
        ("--no-drop-last", "--input.no-drop-last"),
    ],
)
def test_the_nearest_option_is_named(typed, meant, capsys):
    assert main(["train", "--data", "digits", typed, "3"]) == 2
    flag = typed.partition("=")[0].replace("_", "-")
    sentence = f"sib: sib train has no option {flag}, perhaps {meant}; sib train --help lists all\n"
    assert capsys.readouterr().err == sentence


def test_every_name_of_other_scripts_is_explained_or_left_alone():
    known = {option.flag for option in options(TrainConfig)} | {"--objective.kind"}
    for name, meant in ELSEWHERE.items():
        with pytest.raises(InputError) as error:
            check_flags("sib train", TrainConfig, [f"--{name}"])
        assert ("perhaps" in str(error.value)) == (f"--{meant}" in known)
        assert f"--{meant} " not in str(error.value) or f"--{meant}" in known


def test_an_option_that_resembles_none_is_refused_without_a_guess(capsys):
    assert main(["train", "--xyz"]) == 2
    assert "has no option --xyz; sib train --help lists all" in capsys.readouterr().err


def test_every_spelling_of_an_option_is_known():
    check_flags("sib train", TrainConfig, ["--hsic_scope", "--objective", "--objective.kind"])
    check_flags("sib train", TrainConfig, ["--no-resume", "--objective.no_balance", "--config=x"])
    check_flags("sib train", TrainConfig, ["--out", "-1", "--", "-h", "--help"])


def test_the_options_about_printing_may_stand_anywhere():
    found = split_output(["--quiet", "recipes", "--table-format=csv", "--out", "x"])
    assert found == (["recipes", "--out", "x"], Output(True, "csv"))
    assert split_output(["a", "--table_format", "json"]) == (["a"], Output(False, "json"))
    for wrong in (["--table-format", "xml"], ["--table-format"]):
        with pytest.raises(InputError, match="--table-format must be table, csv, json; got '"):
            split_output(wrong)


def table():
    found = Table("a name of a column", *(f"measure {index}" for index in range(12)), title="one")
    found.add_row("[bold]first[/]", *(f"0.12345{index} ±0.000001" for index in range(12)))
    return found


def printed(kind, rows=None, tables=1, **options):
    file = io.StringIO()
    console = Terminal(file=file, width=80, table_format=kind, **options)
    console.print("a remark")
    show_tables(console, [table()] * tables, rows)
    return file.getvalue()


def test_a_piped_table_keeps_all_columns_and_digits():
    text = printed("table")
    assert all(f"measure {index}" in text for index in range(12)) and "…" not in text
    assert all(f"0.12345{index} ±0.000001" in text for index in range(12))
    assert "a remark" in text


def test_tables_for_programs_hold_rows_alone(capsys):
    rows = [{"method": "vjp", "mean": 0.1 + 0.2}, {"method": "a,b", "p": None}]
    assert json.loads(printed("json", rows)) == rows
    read = list(csv.DictReader(io.StringIO(printed("csv", rows))))
    assert float(read[0]["mean"]) == 0.1 + 0.2 and read[1] == {"method": "a,b", "mean": "", "p": ""}
    assert "a remark" in capsys.readouterr().err
    cells = json.loads(printed("json"))
    assert cells[0]["a name of a column"] == "first" and len(cells[0]) == 13
    assert [row["table"] for row in json.loads(printed("json", tables=2))] == ["one", "one"]


def test_quiet_leaves_tables_alone():
    text = printed("table", only_tables=True)
    assert "a remark" not in text and "measure 11" in text


def test_commands_print_what_programs_read(capsys):
    assert main(["recipes", "--table-format", "csv"]) == 0
    captured = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(captured.out)))
    assert len(rows) == 20 and rows[0]["data set/architecture"] == "cifar100/resnet18"
    assert "to run one" in captured.err
    assert main(["recipes", "--quiet"]) == 0
    captured = capsys.readouterr()
    assert "to run one" not in captured.out + captured.err and "cub200/vit_b_32" in captured.out
