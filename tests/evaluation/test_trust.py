"""A run folder from a stranger names a module as its architecture: it is not imported."""

import shutil
import sys
from pathlib import Path

import pytest
from PIL import Image

from sib.cli.main import main

FIXTURE = Path(__file__).parents[1] / "fixtures" / "run-format-1"


@pytest.fixture
def stranger(tmp_path, monkeypatch):
    """A run whose configuration and weights name a module beside it, and what that leaves."""
    run, marker = tmp_path / "run", tmp_path / "ran"
    shutil.copytree(FIXTURE, run)
    (tmp_path / "evil.py").write_text(f"open({str(marker)!r}, 'w')\nfrom helpers.nets import *\n")
    monkeypatch.chdir(tmp_path)
    for name in ("config.yaml", "best.safetensors"):
        content = (run / name).read_bytes()
        # the header's length must stay
        (run / name).write_bytes(content.replace(b"nets:group_norm_net", b"evil:group_norm_net"))
    monkeypatch.delitem(sys.modules, "evil", raising=False)
    return run, marker


def commands(run):
    photo = str(run / "photo.png")
    return {
        "evaluate": ["evaluate", str(run), "--device", "cpu", "--methods", "vjp"],
        "explain": ["explain", str(run), photo, "--device", "cpu", "--methods", "vjp"],
        "report": ["report", str(run), "--device", "cpu", "--out", str(run / "page.html")],
        "compare": ["compare", str(run), str(run.parent / "other"), "--device", "cpu"],
    }


@pytest.mark.parametrize("name", ["evaluate", "explain", "report", "compare"])
def test_no_command_imports_it_unless_it_is_trusted(name, stranger, capsys):
    run, marker = stranger
    Image.new("RGB", (16, 16)).save(run / "photo.png")
    for file in ("evaluation.json", "evaluation.csv"):
        (run / file).unlink()
    other = run.parent / "other"
    shutil.copytree(run, other)
    config = other / "config.yaml"
    config.write_text(config.read_text().replace("method: sib", "method: ce"))
    assert main(commands(run)[name]) == 2
    assert "--trust-code if it is your own" in " ".join(capsys.readouterr().err.split())
    assert not marker.exists()
    assert main([*commands(run)[name], "--trust-code"]) == 0
    assert marker.exists()
