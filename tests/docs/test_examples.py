"""Every public name has an example in its docstring, and every example runs."""

import doctest
import inspect

import pytest
import torch

import sib
from sib.objectives.calibrated import CalibratedSpatialIB

MODULES = (sib, sib.data, sib.explain, sib.figures, sib.functional, sib.models)
OBJECTS = {
    f"{module.__name__}.{name}": getattr(module, name)
    for module in MODULES
    for name in module.__all__
    if inspect.isroutine(getattr(module, name)) or inspect.isclass(getattr(module, name))
} | {"CalibratedSpatialIB": CalibratedSpatialIB}
# records explain themselves in their fields; a contract has its example in CONTRIBUTING.md
RECORDS = {
    *("sib.InputError", "sib.Objective", "sib.Parts", "sib.StepOutput", "sib.TaskOutput"),
    *("sib.Terms", "sib.SpatialIBTerms"),
    *("sib.data.BadSample", "sib.data.Batch", "sib.data.Loader", "sib.data.Record"),
    *("sib.data.Sample", "sib.data.Source", "sib.data.Splits"),
    *("sib.explain.Call", "sib.explain.CamLayer", "sib.explain.Method", "sib.explain.Options"),
}
NEEDS_A_RUN = {"sib.load"}
"""Their examples name a run folder; tests/evaluation/test_classifier.py runs the same."""


def examples_of(name):
    finder = doctest.DocTestFinder(recurse=False)
    return [test for test in finder.find(OBJECTS[name], name) if test.examples]


def test_the_exceptions_exist():
    assert OBJECTS.keys() >= RECORDS | NEEDS_A_RUN
    assert examples_of("sib.load")


@pytest.mark.parametrize("name", sorted(OBJECTS.keys() - RECORDS - NEEDS_A_RUN))
def test_example(name):
    tests = examples_of(name)
    assert tests, f"{name} has no example"
    for test in tests:
        torch.manual_seed(0)
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
        runner.run(test)
        assert runner.summarize(verbose=False).failed == 0
