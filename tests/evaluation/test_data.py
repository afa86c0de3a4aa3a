"""Which images are shown to a checkpoint."""

import shutil
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sib.cli.main import main
from sib.data import open_data
from sib.data.subset import limited, spaced_indices

FIXTURE = Path(__file__).parents[1] / "fixtures" / "run-format-1"


@given(count=st.integers(1, 300), total=st.integers(1, 300))
def test_places_are_spread_and_always_the_same(count, total):
    places = spaced_indices(count, total)
    assert places == sorted(set(places)) == spaced_indices(count, total)
    assert len(places) == min(count, total)
    width = total / len(places)
    assert all(abs(place - index * width) <= width + 1 for index, place in enumerate(places))


def test_a_part_of_images_whose_classes_take_turns_has_all_classes():
    test = open_data("digits", test_size=1000).test
    assert {test.labels[index] for index in range(0, 1000, 5)} == {0, 5}
    assert set(limited(test, 200).labels) == set(range(10))


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("input", [1, 2], "is damaged: input holds no options"),
        ("input", {"split_seed": "x"}, "is damaged: its data cannot be opened"),
        ("data", 7, "is damaged: data is 7"),
        ("arch", 7, "is damaged: arch is 7"),
        ("seed", "x", "is damaged: seed is 'x'"),
    ],
)
def test_a_damaged_configuration_of_a_run(key, value, sentence, tmp_path, capsys, stored_names):
    run = tmp_path / "run"
    shutil.copytree(FIXTURE, run)
    config = yaml.safe_load((run / "config.yaml").read_text()) | {key: value}
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    command = ["evaluate", str(run), "--device", "cpu", "--methods", "vjp", "--trust-code"]
    assert main(command) == 2
    assert sentence in " ".join(capsys.readouterr().err.split())
