"""Every public name has an example in its docstring, and every example runs."""

import inspect

import pytest

import sib
from helpers.doctests import assert_examples_run, examples_of
from sib.metrics import behaviour

MODULES = (
    *(sib, sib.data, sib.explain, sib.figures, sib.functional, sib.metrics, behaviour),
    *(sib.models, sib.objectives),
)
OBJECTS = {
    f"{module.__name__}.{name}": getattr(module, name)
    for module in MODULES
    for name in module.__all__
    if inspect.isroutine(getattr(module, name)) or inspect.isclass(getattr(module, name))
}
NEEDS_A_RUN = "sib.load"
"""Its example names a run folder; tests/evaluation/test_classifier.py runs the same."""


def test_the_exception_has_an_example():
    assert examples_of(NEEDS_A_RUN, OBJECTS[NEEDS_A_RUN])


@pytest.mark.parametrize("name", sorted(OBJECTS.keys() - {NEEDS_A_RUN}))
@pytest.mark.usefixtures("own_explanations")
def test_example(name):
    assert_examples_run(name, OBJECTS[name])


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_dir_shows_the_public_names_alone(module):
    assert dir(module) == sorted(module.__all__)
