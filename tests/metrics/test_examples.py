"""Every public name has an example, and every example runs."""

import doctest
import inspect

import pytest

import sib
from helpers.doctests import assert_examples_run
from sib.metrics import behaviour

OBJECTS = {
    f"{module.__name__}.{name}": getattr(module, name)
    for module in (sib.metrics, behaviour)
    for name in module.__all__
    if inspect.isroutine(getattr(module, name)) or inspect.isclass(getattr(module, name))
}
# plain records explain themselves in their fields
RECORDS = {
    name
    for name, value in OBJECTS.items()
    if (inspect.isclass(value) and issubclass(value, tuple))
    or name.rpartition(".")[2] in ("MetricSpec", "ImageMean", "Table")
}


@pytest.mark.parametrize("name", sorted(set(OBJECTS) - RECORDS))
def test_example(name):
    assert_examples_run(name, OBJECTS[name])


@pytest.mark.parametrize("module", [sib.metrics])
def test_example_of_the_package(module):
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize("name", sorted(OBJECTS))
def test_docstring(name):
    assert inspect.getdoc(OBJECTS[name])
