"""Every option has its help, as one paragraph."""

import dataclasses
import re
from typing import get_type_hints

import pytest

from sib.cli.commands import COMMANDS
from sib.cli.help import join_help
from sib.cli.main import main, parse
from sib.config.facts import KEY, resumable
from sib.config.options import ObjectiveConfig
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


KINDS = {name: each.options for name, each in COMMANDS.items() if not each.below}
KINDS |= {f"{n} {sub}": kind for n, each in COMMANDS.items() for sub, kind in each.below.items()}
every_command = pytest.mark.parametrize("name", KINDS)
every_screen = pytest.mark.parametrize("name", ["", "data", *KINDS])


@every_command
def test_every_option_has_one_paragraph(name):
    kind = load(KINDS[name])
    join_help(kind)
    for option, text in helps(kind):
        assert text.endswith(".") and "\n" not in text, option
        assert 10 < len(text) < 400, option


@every_command
def test_the_help_is_plain_english(name):
    kind = load(KINDS[name])
    join_help(kind)
    found = {option: text for option, text in helps(kind)}
    worn = {option for option, text in found.items() if any(each in text for each in WORN)}
    assert worn == set()


@every_screen
def test_the_screen_shows_no_none_and_no_empty_default(name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main([*name.split(), "--help"])
    text = capsys.readouterr().out
    words = " ".join(text.replace("│", " ").split())
    assert "None" not in words and "(default: )" not in words and "Default:" not in words
    assert "(default: '')" not in words
    assert max(len(line) for line in text.splitlines()) <= 80


def test_the_last_sentence_of_a_help_replaces_the_default(capsys):
    with pytest.raises(SystemExit):
        main(["evaluate", "--help"])
    words = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "Folder that holds the published data sets. (default: the run's own)" in words
    assert "the config.json of a Hugging Face model. (optional)" in words
    with pytest.raises(SystemExit):
        main(["compare", "--help"])
    assert "Run folders, two or more. (required)" in capsys.readouterr().out
    assert "Images to measure on. Choose settings on validation" in words


def test_the_help_of_training_begins_with_what_every_run_needs(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    flags = re.findall(r"^\W (--[\w.-]+)", capsys.readouterr().out, flags=re.M)
    assert flags[:3] == ["--data", "--arch", "--method"]
    objective = [flag for flag in flags if flag.startswith("--objective")]
    assert objective[0] == "--objective"


def test_an_option_of_one_objective_names_it():
    texts = {option: text for option, text in helps(ObjectiveConfig) if option != "kind"}
    assert len(texts) > 15
    for option, text in texts.items():
        facts = next(field for field in dataclasses.fields(ObjectiveConfig) if field.name == option)
        assert text.startswith(facts.metadata[KEY].only_for), option


def test_a_command_below_another_is_parsed_into_it():
    config = parse(["data", "check", "photos", "--workers", "2"])
    assert (config.command.name, config.command.workers) == ("photos", 2)


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
