"""A method of training that another package adds, from CONTRIBUTING.md to the command line."""

import json
import re
import sys
from pathlib import Path

import pytest
import torch

import sib
from helpers.nets import group_norm_net
from sib.cli.main import main
from sib.config.options import RivalConfig
from sib.config.train import TrainConfig
from sib.objectives.registry import load_objective, method_names
from sib.utils.errors import InputError

ROOT = Path(__file__).parents[2]


def example():
    """The code of CONTRIBUTING.md."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    (code,) = re.findall(
        r"<!-- run by tests/package/test_plugins.py -->\n```python\n(.*?)```", text, re.S
    )
    return code


def install(folder, source, entry="small_gradient = sib_small:SmallGradient"):
    """What pip leaves of a package with one module and one entry point."""
    info = folder / "sib_small-1.0.dist-info"
    info.mkdir()
    (folder / "sib_small.py").write_text(source)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sib-small\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[sib.objectives]\n{entry}\n")


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Installs a package for this process."""

    def make(source, *entry):
        install(tmp_path, source, *entry)
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(sys.modules, "sib_small", raising=False)

    return make


def test_the_example_has_the_gradient_of_its_formula():
    names = {}
    exec(example(), names)
    torch.manual_seed(0)
    model = group_norm_net().double()
    images, labels = torch.randn(4, 3, 16, 16).double(), torch.tensor([0, 1, 2, 3])
    total = 0
    for image in images:
        x = image[None].requires_grad_()
        (gradient,) = torch.autograd.grad(model(x).max(), x, create_graph=True)
        total = total + gradient.square().sum() / 4
    loss = torch.nn.functional.cross_entropy(model(images), labels) + 0.1 * total
    expected = torch.autograd.grad(loss, list(model.parameters()))
    task = sib.Task(model, names["SmallGradient"](0.1))
    out = task(images, labels)
    task.backward(out.loss)
    assert out.loss.item() == pytest.approx(loss.item(), rel=1e-12)
    for parameter, wanted in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, wanted, rtol=1e-9, atol=1e-12)


def test_it_is_trained_from_the_command_line(installed, tmp_path):
    installed(example())
    options = "--method small_gradient --rival.weight 0.1 --data digits --input.train-size 60 "
    options += "--input.test-size 20 --arch small_resnet --image-size 16 "
    options += "--epochs 1 --batch-size 20 --workers 0 --device cpu --rival.balance"
    run = tmp_path / "run"
    assert main(["train", *options.split(), "--out", str(run)]) == 0
    (record,) = (json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines())
    assert record["terms"].keys() == record["weights"].keys() == {"small_gradient"}
    assert record["gradient_ratio"] == pytest.approx(0.1, rel=1e-3)  # in the first step


def test_its_name_is_known_and_a_mistyped_one_is_not(installed):
    installed(example())
    assert "small_gradient" in method_names()
    TrainConfig(data="digits", method="small_gradient")
    with pytest.raises(InputError, match="'small_gradiant' is unknown, perhaps small_gradient"):
        TrainConfig(data="digits", method="small_gradiant")
    with pytest.raises(InputError, match=r"--rival\.at is for --method energy; got small_gradient"):
        TrainConfig(
            data="digits",
            method="small_gradient",
            rival=RivalConfig(at="input"),
        )


def test_something_else_than_an_objective_is_refused(installed):
    installed("SmallGradient = 3")
    with pytest.raises(InputError, match=r"'small_gradient' must be a class derived from sib\.Obj"):
        load_objective("small_gradient")
