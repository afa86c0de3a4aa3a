"""Every option has its help, as one paragraph."""

import dataclasses
from typing import get_type_hints

import pytest

from sib.cli.commands import COMMANDS
from sib.cli.help import join_help
from sib.cli.main import main
from sib.config.facts import resumable
from sib.config.train import TrainConfig
from sib.utils.lazy import load

WORN = (" alone ", " anew", " go on", "goes on", " told", "is no ", "in the mean", "said above")
"""Turns of phrase that the help does without."""


def helps(kind):
    for field in dataclasses.fields(kind):
        inner = get_type_hints(kind)[field.name]
        if isinstance(inner, type) and dataclasses.is_dataclass(inner):
            yield from helps(inner)
        else:
            yield field.name, field.metadata.get("help", "")


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "data"])
def test_every_option_has_one_paragraph(name):
    kind = load(COMMANDS[name].options)
    join_help(kind)
    for option, text in helps(kind):
        assert text.endswith(".") and "\n" not in text, option
        assert 10 < len(text) < 400, option


def test_the_help_of_train_is_plain_english():
    join_help(TrainConfig)
    found = {option: text for option, text in helps(TrainConfig)}
    worn = {option for option, text in found.items() if any(each in text for each in WORN)}
    assert worn == set()


def test_the_screen_joins_the_lines_of_the_source(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    text = capsys.readouterr().out.replace("│", " ")
    assert "It sets the data, the architecture and" in " ".join(text.split())
    lines = [line.strip() for line in text.splitlines()]
    start = lines.index(next(line for line in lines if line.startswith("Published recipe")))
    assert len(lines[start]) > 60 and len(lines[start + 1]) > 40


def test_the_facts_survive_the_help():
    before = resumable(TrainConfig)
    join_help(TrainConfig)
    assert resumable(TrainConfig) == before
