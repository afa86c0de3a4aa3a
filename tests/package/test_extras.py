"""What torch and numpy alone are enough for, and what each missing package is reported as."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest

from helpers import fresh
from sib.utils.optional import EXTRAS, import_optional

ROOT = Path(__file__).parents[2]
DISTRIBUTIONS = {"PIL": "pillow", "mlflow": "mlflow-skinny"}
DISTRIBUTIONS |= {"sklearn": "scikit-learn", "yaml": "pyyaml"}
"""Names of modules that their distributions do not have."""

BLOCK = """
import sys

class Only:
    def __init__(self, finders):
        self.finders = finders

    def find_spec(self, name, path=None, target=None):
        root = name.partition(".")[0]
        if root not in ALLOWED and not root.startswith("_sysconfigdata"):  # a build's own name
            return None
        found = (finder.find_spec(name, path, target) for finder in self.finders)
        return next((spec for spec in found if spec is not None), None)

    def find_distributions(self, *context):  # which versions are installed stays known
        for finder in self.finders:
            yield from getattr(finder, "find_distributions", lambda *_: ())(*context)

ALLOWED = {*sys.stdlib_module_names, *%r}
sys.meta_path[:] = [Only(list(sys.meta_path))]
for name in [*sys.modules]:  # what torch has imported because it was there
    root = name.partition(".")[0]
    if root not in ALLOWED and root != "__main__":
        del sys.modules[name]
"""


def needed_by(package):
    """Modules of the packages that a package cannot be installed without."""
    found, waiting = set(), [package]
    while waiting:
        name = waiting.pop()
        found.add(name)
        try:
            wanted = [each for each in requires(name) or [] if "extra ==" not in each]
        except PackageNotFoundError:  # needed on another system or by another Python
            continue
        waiting += {re.match(r"[\w.-]+", each)[0].lower() for each in wanted} - found
    return {name.replace("-", "_") for name in found} | {"torchgen", "functorch", "sib"}


def blocked(without=None):
    """Code after which torch, numpy and what these need can be imported, or all but one module."""
    allowed = needed_by("torch") | {"numpy"}
    block = BLOCK % (allowed,)
    if without is not None:
        block = block.replace("root not in ALLOWED", f"root == {without!r}")
        assert repr(without) in block
    return block


def alone(code, *, without=None):
    """Run code so, where torch alone was imported."""
    return fresh.run(blocked(without) + code)


LOOP = """
import torch, sib, torch.nn.functional as F
torch.manual_seed(0)
model = torch.nn.Sequential(
    torch.nn.Conv2d(3, 8, 3, 2), torch.nn.ReLU(), torch.nn.Conv2d(8, 8, 3), torch.nn.ReLU(),
    torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(8, 3),
)
loader = [(torch.randn(4, 3, 32, 32), torch.tensor([0, 1, 2, 1])) for _ in range(2)]
optimizer = torch.optim.AdamW(model.parameters())
before = model[0].weight.detach().clone()
"""
TASK = """
assert not torch.equal(before, model[0].weight)
images, labels = loader[0]
task = sib.SpatialIBTask(model, sib.SpatialIB(window_size=7))
out = task(images, labels)
task.backward(out.loss)
sib.accumulate(task, images, labels, micro_batch=2)
assert sib.functional.hsic(torch.randn(4, 5), torch.randn(4, 5)).isfinite()
assert sib.models.SmallResNet(3)(images).shape == (4, 3)
"""


def test_the_loop_of_the_readme_needs_torch_and_numpy_alone():
    readme = (ROOT / "README.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", readme, flags=re.DOTALL)
    loop = next(block for block in blocks if "for images, labels in loader" in block)
    code = blocked() + LOOP + loop + TASK
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def command(arguments):
    return f"from sib.cli.main import main; sys.exit(main({arguments!r}))"


@pytest.mark.parametrize(
    ("missing", "arguments", "sentence"),
    [
        ("tyro", ["train", "--help"], 'sib train needs tyro: pip install "sib[train]"'),
        ("rich", ["recipes"], 'sib recipes needs rich: pip install "sib[train]"'),
        ("matplotlib", ["explain", "run", "a.png"], 'needs matplotlib: pip install "sib[report]"'),
        ("jinja2", ["report", "run"], 'sib report needs jinja2: pip install "sib[report]"'),
    ],
)
def test_a_command_says_which_extra_it_lacks(missing, arguments, sentence):
    done = alone(command(arguments), without=missing)
    assert done.returncode == 2, done.stderr
    assert sentence in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (
            "from sib.data import open_data",
            'sib.data.open_data needs sklearn: pip install "sib',
        ),
        (
            "import torch\n"
            "sib.explain.attribute(sib.models.SmallResNet(2), torch.rand(1, 3, 64, 64))",
            'pip install "sib[explain]"',
        ),
        (
            "sib.models.build('resnet18', 3)",
            "needs torchvision, which is not installed: pip install",
        ),
    ],
)
def test_a_name_says_which_extra_it_lacks(code, sentence):
    done = alone(f"import sib\n{code}")
    assert sentence in done.stderr.splitlines()[-1]


def test_the_version_needs_nothing():
    assert alone(command(["--version"])).returncode == 0


def test_the_extras_are_those_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for module, extra in EXTRAS.items():
        names = [re.match(r"[\w-]+", each)[0] for each in extras[extra]]
        assert DISTRIBUTIONS.get(module, module) in names, (module, extra)
    assert {re.match(r"[\w-]+", each)[0] for each in project["dependencies"]} == {"torch", "numpy"}


def test_a_module_that_is_there_is_imported():
    assert import_optional("json", "train").dumps([1]) == "[1]"
    with pytest.raises(ImportError, match=r"^this needs no, which is not installed: pip install"):
        import_optional("no.such", "report")
