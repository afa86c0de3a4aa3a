"""The notebooks run from start to end, in tiny form, and are kept without outputs."""

import json
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "examples"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def short(path):
    """The longer notebook is a long form: it takes over a minute of processor time."""
    return pytest.param(path, marks=pytest.mark.torture) if "measure" in path.stem else path


@pytest.mark.timeout(900)  # a busy machine takes minutes to import what they need
@pytest.mark.parametrize("path", [*map(short, NOTEBOOKS)], ids=lambda path: path.stem)
def test_notebook_runs(path, monkeypatch):
    nbformat = pytest.importorskip("nbformat")
    client = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(path, as_version=4)
    sizes = {"TRAIN_IMAGES": 64, "TEST_IMAGES": 20, "EPOCHS": 1}
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    first.source = re.sub(
        r"^(\w+) = \d+$", lambda m: f"{m[1]} = {sizes[m[1]]}", first.source, flags=re.M
    )
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    resources = {"metadata": {"path": str(FOLDER)}}
    client.NotebookClient(notebook, timeout=600, resources=resources).execute()
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    assert any("image/png" in out.get("data", {}) for out in outputs)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_kept_without_outputs(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert len(code) > 4
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
