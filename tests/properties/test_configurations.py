"""Whatever is typed gives a plan or a sentence, never a traceback."""

import dataclasses
import io
import os
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from torch import nn

from helpers.arguments import command_lines
from helpers.inputs import EXAMPLES
from sib.cli.main import main, parse
from sib.config.stored import as_dict
from sib.training import TrainConfig
from sib.training.setup import make_autocast, make_task
from sib.utils.device import choose_device
from sib.utils.errors import InputError

LONG = int(os.environ.get("SIB_CONFIGURATIONS", "10000"))
options = {"deadline": None, "suppress_health_check": list(HealthCheck), "print_blob": True}
FOLDER = TemporaryDirectory()
outcomes = {"plan": 0, "sentence": 0, "help": 0}


def plan(config: TrainConfig) -> None:
    """All that a configuration decides before any image is read, and its way through a file."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(3, 2))
    device = choose_device(config.device)
    make_task(config, model, device)
    make_autocast(config, device)
    assert config.side >= 1 and config.folder.parts
    values = as_dict(config)
    assert yaml.safe_load(yaml.safe_dump(values)) == values


def try_out(arguments: list[str]) -> str:
    """What a command line leads to."""
    said = io.StringIO()
    try:
        with redirect_stdout(said), redirect_stderr(said):
            config = parse(arguments)
            if isinstance(config, TrainConfig):
                plan(config)
    except InputError as error:
        assert len(str(error)) > 10 and "Traceback" not in str(error)
        return "sentence"
    except SystemExit as stop:
        text = said.getvalue()
        assert stop.code in (0, 2) and text.strip() and "Traceback" not in text
        return "sentence" if stop.code else "help"
    assert dataclasses.is_dataclass(config)
    return "plan"


def check(arguments: list[str]) -> None:
    outcomes[try_out(arguments)] += 1


@settings(max_examples=3 * EXAMPLES, **options)
@given(arguments=command_lines(Path(FOLDER.name)))
def test_every_command_line_gives_a_plan_or_a_sentence(arguments):
    check(arguments)


@pytest.mark.torture
@pytest.mark.timeout(3600)
def test_ten_thousand_command_lines(capsys):
    """The same, at length; the counts are printed."""
    for name in outcomes:
        outcomes[name] = 0
    run = settings(max_examples=LONG, database=None, **options)(
        given(arguments=command_lines(Path(FOLDER.name)))(check)
    )
    run()
    with capsys.disabled():
        print(f"\n{sum(outcomes.values())} command lines: {outcomes}")
    assert (
        sum(outcomes.values()) >= LONG and min(outcomes["plan"], outcomes["sentence"]) > LONG / 20
    )


DIGITS = ["train", "--data", "digits", "--dry-run", "--device", "cpu", "--workers", "0"]
DIGITS += ["--arch", "small_resnet", "--input.train-size", "40", "--input.test-size", "10"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], 0),
        (["--batch-size", "4", "--objective", "published", "--objective.estimator", "unbiased"], 0),
        (["--objective", "published", "--objective.window-size", "49"], 2),
        (["--objective.area", "nan"], 2),
        (["--objective.slope", "inf"], 2),
        (["--input.validation-fraction", "nan"], 2),
        (["--input.test-fraction", "-1"], 2),
        (["--input.train-size", "1"], 2),
        (["--input.background-strength", "nan"], 2),
        (["--input.drop-last", "--batch-size", "1000000"], 2),
        (["--arch", "nowhere:make"], 2),
        (["--seed", str(2**63 - 1)], 0),
    ],
)
def test_dry_runs(arguments, code, capsys):
    assert main(DIGITS + arguments) == code
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    assert ("small_resnet at 48 × 48" in out) == (code == 0)
    assert code == 0 or err.startswith("sib: ")
    assert torch.is_grad_enabled()
