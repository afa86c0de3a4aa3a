"""``sib audit`` and ``sib evaluate`` with several labels an image, in two processes and in one."""

import json

import pytest

from helpers.processes import command_in_two
from helpers.several import arguments, images, weights
from sib.cli.main import main

COMMANDS = {
    "audit": ["--conditions", "exchanged", "object_alone", "background_alone"],
    "evaluate": ["--methods", "saliency", "vjp", "--metrics", "energy_pointing_game", "sparseness"],
}
DIFFER = {"command", "processes", "seconds", "when", "environment"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return images(tmp_path_factory.mktemp("several"), count=3)


def figures(path):
    """What a file holds but the facts about the process that wrote it."""

    def kept(value):
        if isinstance(value, dict):
            return {key: kept(each) for key, each in value.items() if key not in DIFFER}
        return [kept(each) for each in value] if isinstance(value, list) else value

    return kept(json.loads(path.read_text()))


@pytest.mark.parametrize("name", COMMANDS)
def test_two_processes_find_what_one_finds(name, data, tmp_path):
    folders = [tmp_path / "one", tmp_path / "two"]
    lines = []
    for folder in folders:
        folder.mkdir()
        path = weights(folder, "object_reader")
        lines.append([name, str(path), *arguments("object_reader", data), *COMMANDS[name]])
    assert main(lines[0]) == 0
    shown = command_in_two(lines[1], tmp_path)
    assert shown.count("written to") == 1
    one, two = (sorted((folder / "object_reader-evaluation").iterdir()) for folder in folders)
    assert [path.name for path in one] == [path.name for path in two] and one
    for alone, together in zip(one, two, strict=True):
        if alone.suffix == ".json":
            assert figures(alone) == figures(together), alone.name
        elif alone.suffix == ".csv":
            assert alone.read_bytes() == together.read_bytes(), alone.name
