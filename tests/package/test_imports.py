"""Imports run downwards only: each package imports none that stands after it, and no circle."""

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import sib

SOURCE = Path(sib.__file__).parent
LAYERS = (
    "utils",
    "functional",
    "double_backward",
    "distributed",
    "models",
    "explain",
    "metrics",
    "objectives",
    "tasks",
    "figures",
    "tracking",
    "config",
    "data",
    "runs",
    "training",
    "evaluation",
    "report",
    "study",
    "cli",
)
"""From the bottom to the top. The modules beside them, `sib` and `sib.__main__`, are above all."""


def imported(path):
    """Modules of sib that a file imports, inside its functions, too, and its strings of places."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports are not followed"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if file_of(whole) else str(node.module)


def lazily_attached(path):
    """Modules that a package's ``__init__`` imports when a name is first used."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            module = node.value.partition(":")[0]
            if module.startswith("sib.") and file_of(module):
                yield module


def file_of(module):
    path = SOURCE.parent / Path(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if module.partition(".")[0] == "sib" and candidate.is_file():
            return candidate
    return None


def name_of(path):
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {name_of(path): path for path in sorted(SOURCE.rglob("*.py"))}


@pytest.fixture(scope="module")
def imports():
    """What each module of sib imports of it."""
    return {
        name: {each for each in (*imported(path), *lazily_attached(path)) if each in FILES} - {name}
        for name, path in FILES.items()
    }


def layer(module):
    """Place of a module among the layers; what lies beside them is above all."""
    parts = module.split(".")
    return LAYERS.index(parts[1]) if len(parts) > 1 and parts[1] in LAYERS else len(LAYERS)


def test_every_package_has_its_place():
    packages = {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    assert packages == set(LAYERS)
    assert {path.stem for path in SOURCE.glob("*.py")} == {"__init__", "__main__"}


def test_contributing_lists_the_packages_in_this_order():
    tree = (
        (SOURCE.parents[1] / "CONTRIBUTING.md").read_text().split("src/sib/\n")[1].split("```")[0]
    )
    assert tuple(re.findall(r"^  (\w+)/ ", tree, re.M)) == LAYERS


@pytest.mark.parametrize("name", LAYERS)
def test_a_package_imports_none_above_it(name, imports):
    upwards = {
        (module, other)
        for module, others in imports.items()
        if module.split(".")[1:2] == [name]
        for other in others
        # the package sib itself holds names that load on demand, such as its version
        if other != "sib" and layer(other) > layer(module)
    }
    assert upwards == set()


def test_no_module_imports_itself_in_a_circle(imports):
    graph = {module: others - {"sib"} for module, others in imports.items()}
    for module, others in graph.items():  # a package's __init__ names its own modules
        if FILES[module].name == "__init__.py":
            graph[module] = {each for each in others if not each.startswith(f"{module}.")}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as circle:
        pytest.fail(" → ".join(circle.args[1]))


def test_the_walk_sees_lazy_imports_and_places(imports):
    assert "sib.training.loop" in imports["sib.cli.train"]
    assert "sib.cli.train" in imports["sib.cli.commands"]
    assert "sib.functional.dependence" in imports["sib.config.train_checks"]
    assert "sib.figures.sheet" in imports["sib.data.show"]
    assert "sib.tasks.accumulate" in imports["sib"]
