"""Every public name has an example in its docstring, and every example runs."""

import inspect

import pytest

import sib
from helpers.doctests import assert_examples_run, examples_of
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


def test_the_exceptions_exist():
    assert OBJECTS.keys() >= RECORDS | NEEDS_A_RUN
    assert examples_of("sib.load", OBJECTS["sib.load"])


@pytest.mark.parametrize("name", sorted(OBJECTS.keys() - RECORDS - NEEDS_A_RUN))
@pytest.mark.usefixtures("own_explanations")
def test_example(name):
    assert_examples_run(name, OBJECTS[name])
