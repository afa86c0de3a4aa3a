"""Numbers and lists in YAML."""

import pytest

from sib.config.train import TrainConfig
from sib.config.yaml_file import parse_yaml
from sib.config.yaml_options import options_of


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1:30", "1:30"),
        ("1e-4", "1e-4"),
        ("1.5e+3", 1500.0),
        (".5", 0.5),
        ("-3", -3),
        ("0x10", 16),
        ("1_000", 1000),
        ("3x", "3x"),
        (".inf", float("inf")),
        ("'1'", "1"),
    ],
)
def test_numbers_in_yaml(text, value):
    found = parse_yaml(f"a: {text}")["a"]
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"freeze": ["stem", "stages.0"]}, ["--freeze", "stem,stages.0"]),
        ({"image_size": [32, 48]}, ["--image-size", "32x48"]),
        ({"input": {"normalization": [0.5, 0.25]}}, ["--input.normalization", "0.5/0.25"]),
    ],
)
def test_lists_in_yaml_are_joined_as_the_option_has_it(values, expected):
    assert options_of(TrainConfig, values, "a.yaml") == expected
