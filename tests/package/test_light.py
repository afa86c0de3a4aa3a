"""What starts at once loads neither torch nor the packages that only some commands need."""

import json
import subprocess
import sys
from dataclasses import is_dataclass

import pytest

import sib
from sib.cli.commands import COMMANDS
from sib.objectives.registry import METHODS
from sib.utils.lazy import load

HEAVY = ("torch", "torchvision", "captum", "torchmetrics", "sklearn", "scipy", "matplotlib")


def loaded_by(code):
    """The heavy packages that a new interpreter has loaded after the code."""
    code += f"\nimport json, sys; print(json.dumps([n for n in {HEAVY} if n in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_these_commands_load_no_torch():
    """One after another in one new interpreter, which loads nothing heavy up to the last."""
    lines = ["--version", "--help", "recipes", *(f"{name} --help" for name in COMMANDS)]
    lines += ["data show --help", "train --epoch 3", "train cub200/resnet5", "nothing"]
    code = "import sys\nfrom sib.cli.main import main\nfirst = {}"
    for line in lines:
        code += f"\ntry: main({line.split()})\nexcept SystemExit: pass"
        code += f"\nfor name in set({HEAVY}) & set(sys.modules): first.setdefault(name, {line!r})"
    code += "\nassert not first, first"
    assert loaded_by(code) == []


def test_every_command_has_its_options_and_its_code():
    for command in COMMANDS.values():
        assert is_dataclass(load(command.options))
        assert callable(load(command.action))


def test_listing_what_there_is_loads_no_torch():
    code = "from sib.explain import METHODS, default_methods; from sib.metrics import METRICS\n"
    code += "from sib.objectives.registry import method_names\n"
    code += "assert len(METHODS) > len(default_methods()) > 5 < len(METRICS) and method_names()"
    assert loaded_by(code) == []


def test_every_objective_of_the_registry_is_a_name_of_its_package():
    classes = {method.objective.partition(":")[2] for method in METHODS.values()} - {""}
    assert classes <= set(dir(sib.objectives))
    for name in sib.objectives.__all__:
        assert getattr(sib.objectives, name).__name__ == name
    with pytest.raises(AttributeError, match="has no attribute 'SpatialB'"):
        sib.objectives.SpatialB  # noqa: B018 - reading it is the test


def test_importing_sib_loads_nothing_and_using_it_loads_torch_alone():
    assert loaded_by("import sib; dir(sib); sib.__version__") == []
    code = "import sib; sib.SpatialIB.calibrated(); sib.accumulate\n"
    code += "from sib import SpatialIBTask, functional, metrics, models\n"
    code += "functional.hsic, models.build"
    assert loaded_by(code) == ["torch"]


def test_dir_shows_every_public_name():
    assert set(sib.__all__) <= set(dir(sib))
    assert {"data", "explain", "functional", "metrics", "models", "SpatialIB"} <= set(sib.__all__)
    assert all(getattr(sib, name) is not None for name in sib.__all__)
    with pytest.raises(AttributeError, match="'sib' has no attribute 'nothing'"):
        _ = sib.nothing
