"""The notebooks run from start to end, in tiny form, and are kept without outputs."""

import json
import re
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from helpers.processes import apart

FOLDER = Path(__file__).parents[2] / "examples"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def shortened(source):
    """A cell with the sizes of a short run."""
    sizes = {"TRAIN_IMAGES": 64, "TEST_IMAGES": 20, "EPOCHS": 1}
    return re.sub(r"^(\w+) = \d+$", lambda m: f"{m[1]} = {sizes[m[1]]}", source, flags=re.M)


@apart
def test_the_code_of_the_shorter_notebook_runs(monkeypatch):
    """In a forked process, which has imported what the notebook imports."""
    monkeypatch.syspath_prepend(str(FOLDER))
    cells = json.loads((FOLDER / "fine_tune_and_look.ipynb").read_text(encoding="utf-8"))["cells"]
    names = {"__name__": "__main__"}
    for number, cell in enumerate(each for each in cells if each["cell_type"] == "code"):
        code = "".join(cell["source"])
        exec(shortened(code) if number == 0 else code, names)
    assert plt.get_fignums() and plt.gcf().axes[0].has_data()


@pytest.mark.torture
@pytest.mark.timeout(900)  # a busy machine takes minutes to import what they need
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path, monkeypatch):
    """In a kernel of its own, as a reader runs it."""
    nbformat = pytest.importorskip("nbformat")
    client = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(path, as_version=4)
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    first.source = shortened(first.source)
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
