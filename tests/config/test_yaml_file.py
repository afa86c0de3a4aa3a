"""YAML of the safe subset, and what is refused of it."""

import pytest

from sib.config.yaml_file import parse_yaml


def test_plain_values():
    text = "a: 1\nb: {c: [x, 2.5, null, yes]}\n"
    assert parse_yaml(text) == {"a": 1, "b": {"c": ["x", 2.5, None, True]}}


def test_nothing_runs(tmp_path):
    for tag in (
        "!!python/object/apply:os.system",
        "!!python/name:os.system",
        "!!python/object:x.Y",
    ):
        with pytest.raises(ValueError, match="could not determine a constructor"):
            parse_yaml(f"a: {tag} ['touch {tmp_path}/ran']")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: &a [1]\nb: *a\n", "aliases are not read"),
        ("a: &a [*a]\n", "aliases are not read"),
        ("<<: &a {x: 1}\nb: {<<: *a}\n", "aliases are not read"),
        ("a: 1\nb: 2\na: 3\n", "'a' is duplicated"),
        ("x: {a: {b: 1, b: 1}}\n", "'b' is duplicated"),
        ("[" * 5000, "nested too deeply"),
        ("a: 2001-99-99\n", "month must be in 1..12"),
        ("a: 0b_\n", "invalid literal"),
        ("? [a]\n: 1\n? {b: 1}\n: 2\n", "unhashable"),
        ("a: \0\n", "special characters are not allowed"),
        ("x" * (2**20 + 1), "it has 1048577 characters, and options have at most 1048576"),
    ],
)
def test_what_is_refused(text, sentence):
    with pytest.raises(ValueError, match=sentence):
        parse_yaml(text)
