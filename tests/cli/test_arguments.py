"""Mistyped options, options that every command has, and tables for programs."""

import csv
import io
import json

import pytest
from rich.table import Table

from sib.cli.arguments import Output, split_output
from sib.cli.commands import COMMANDS
from sib.cli.flags import check_flags
from sib.cli.main import main
from sib.cli.synonyms import COMMAND_SYNONYMS, MEANT
from sib.config.evaluate import EvaluateConfig
from sib.config.facts import options
from sib.config.train import TrainConfig
from sib.utils.errors import InputError
from sib.utils.lazy import load
from sib.utils.rows import to_markdown
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
        ("--img", "--image-size"),
        ("--pretrained-model", "--weights"),
        ("--bboxes", "--input.annotations"),
        ("--checkpoint-every", "--save-every-steps"),
        ("--name", "--out"),
        ("--pretrained", "--weights"),
        ("--bs", "--batch-size"),
        ("--wd", "--optimizer.weight-decay"),
        ("--gpu", "--device"),
        ("--img-size", "--image-size"),
        ("--model", "--arch"),
        ("--num-workers", "--workers"),
        ("--amp", "--precision"),
        ("--dataset", "--data"),
        ("--output", "--out"),
        ("--epohcs", "--epochs"),
        ("--val-split", "--input.validation-fraction"),
    ],
)
def test_the_nearest_option_is_named(typed, meant, capsys):
    assert main(["train", "--data", "digits", typed, "3"]) == 2
    flag = typed.partition("=")[0].replace("_", "-")
    sentence = f"sib train has no option {flag}, perhaps {meant}; sib train --help lists all\n"
    assert capsys.readouterr().err == sentence


def every_flag():
    """The options of all commands, as they are typed."""
    places = [(command.options, *command.below.values()) for command in COMMANDS.values()]
    kinds = [load(place) for each in places for place in each[len(each) > 1 :]]
    return {option.flag for kind in kinds for option in options(kind)} | {"--objective.kind"}


def test_names_of_other_scripts_lead_to_options_and_commands_that_there_are():
    assert {f"--{name}" for name in MEANT} <= every_flag()
    below = {name for command in COMMANDS.values() for name in command.below}
    assert set(COMMAND_SYNONYMS.values()) <= below | set(COMMANDS)
    for names in MEANT.values():
        assert len(set(names.split())) == len(names.split())
    with pytest.raises(InputError, match="sib evaluate has no option --lr; sib evaluate --help"):
        check_flags("sib evaluate", EvaluateConfig, ["--lr"])  # which it has no other name for


@pytest.mark.parametrize("typed", ["--xyz", "--max-steps", "--dropout", "--format", "--verbose"])
def test_an_option_that_resembles_none_is_refused_without_a_guess(typed, capsys):
    assert main(["train", typed]) == 2
    assert f"has no option {typed}; sib train --help lists all" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("tran", "sib has no command 'tran', perhaps train; sib --help explains all"),
        ("eval runs/a", "sib has no command 'eval', perhaps evaluate; sib --help explains all"),
        ("foo", "sib has no command 'foo'; there are train, evaluate, explain"),
        ("data download x", "sib data has no command 'download', perhaps prepare;"),
        ("explain r a.jpg --class 3", "sib explain has no option --class, perhaps --target;"),
        ("compare a b --bootstrap 9", "sib compare has no option --bootstrap, perhaps --resamples"),
        ("report a --html x", "sib report has no option --html, perhaps --out;"),
        ("audit a --html x", "sib audit has no option --html, perhaps --page;"),
        ("report a --num-images 3", "sib report has no option --num-images, perhaps --images;"),
        ("export a --onnx", "sib export has no option --onnx, perhaps --format;"),
        ("data make-spurious a --ratio 1", "has no option --ratio, perhaps --strength;"),
        ("data chek x", "sib data has no command 'chek', perhaps check; sib data --help"),
        ("data check x --maks y", "sib data check has no option --maks, perhaps --masks;"),
        ("study f.yaml --finnished", "sib study has no option --finnished, perhaps --finished"),
        ("study f.yaml --config x", "sib study has no option --config; sib study --help"),
        (
            "train --data digits --input.augment crp",
            "--input.augment must be none, flip, crop, randaugment, trivial; got 'crp', perhaps "
            "crop",
        ),
        ("audit a --conditions blurred grayed", "background_alone; got 'grayed', perhaps greyed"),
        ("evaluate a --methods gradcan", "--methods has no 'gradcan', perhaps gradcam; there are"),
        ("train --data digits --method engery", "--method 'engery' is unknown, perhaps energy;"),
        ("explain", "sib explain needs RUN: run folder of sib train, or a file"),
        ("data check", "sib data check needs NAME: cifar100, cub200"),
        ("data", "sib data needs a command: prepare, check, show, make-spurious; sib data --help"),
        ("", "sib needs a command: train, evaluate"),
        ("train --data digits --epochs", "sib train: --epochs needs a value; sib train --help"),
        ("train --data digits --epochs 1.5", "--epochs must be a whole number; got '1.5'"),
        ("evaluate a --limit x", "--limit must be a whole number; got 'x'"),
        ("train --data digits --label-smoothing x", "--label-smoothing must be a number; got 'x'"),
    ],
)
def test_a_mistake_has_one_sentence(typed, sentence, capsys):
    assert main(typed.split()) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("sib") and sentence in captured.err
    assert captured.err.count("\n") == 1 and not captured.out


def test_every_spelling_of_an_option_is_known():
    check_flags("sib train", TrainConfig, ["--hsic_scope=local", "--objective", "calibrated"])
    check_flags("sib train", TrainConfig, ["--no-resume", "--objective.no_balance", "--config=x"])
    check_flags("sib train", TrainConfig, ["--out", "-1", "--", "-h", "--help"])


def test_the_options_about_printing_may_stand_anywhere():
    found = split_output(["--quiet", "recipes", "--table-format=csv", "--out", "x"])
    assert found == (["recipes", "--out", "x"], Output(True, "csv"))
    assert split_output(["a", "--table_format", "json"]) == (["a"], Output(False, "json"))
    for wrong in (["--table-format", "xml"], ["--table-format"]):
        with pytest.raises(
            InputError, match="--table-format must be table, csv, json, markdown; got '"
        ):
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


def test_markdown_is_the_table_for_people():
    text = printed("markdown", rows=[{"a": 1}])
    title, _, heads, rule, row = text.strip().split("\n")
    assert title == "**one**" and heads.startswith("| a name of a column | measure 0 |")
    assert rule.count("---") == 13 and row.startswith("| first | 0.123450 ±0.000001 |")
    assert r"a\|b" in to_markdown(["a|b"], [["c"]])


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
