"""What CONTRIBUTING.md names is there: files, folders and targets of make."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = (ROOT / "src", ROOT / "tests")
TEXT = (ROOT / "CONTRIBUTING.md").read_text()


def paths(text):
    """Names in backticks that are paths: they end in a slash or as files do."""
    return re.findall(r"`([\w./-]+(?:/|\.(?:py|yml|toml|md)))`", text)


def exists(path):
    """Below the root, src/sib or tests; a name without a folder may be anywhere in the code."""
    if "/" not in path and any(any(each.glob(f"**/{path}")) for each in CODE):
        return True
    return any((root / path).exists() for root in (ROOT, ROOT / "src/sib", ROOT / "tests"))


@pytest.mark.parametrize("path", sorted(set(paths(TEXT))))
def test_paths_exist(path):
    assert exists(path)


def test_a_wrong_path_would_be_seen():
    table = TEXT.split("## Where do I put …\n")[1].split("\n## ")[0]
    assert len(paths(table)) > 15
    assert not exists("objectives/nothing.py") and not exists("nothing.py")


def test_targets_of_make_exist():
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M)
    assert set(re.findall(r"^make ([\w-]+)", TEXT, re.M)) <= set(targets)
