"""The example of the package, and a docstring for every public name."""

import doctest
import inspect

import pytest

import sib
from sib.metrics import behaviour

OBJECTS = {
    f"{module.__name__}.{name}": getattr(module, name)
    for module in (sib.metrics, behaviour)
    for name in module.__all__
    if inspect.isroutine(getattr(module, name)) or inspect.isclass(getattr(module, name))
}


def test_example_of_the_package():
    assert doctest.testmod(sib.metrics).failed == 0


@pytest.mark.parametrize("name", sorted(OBJECTS))
def test_docstring(name):
    assert inspect.getdoc(OBJECTS[name])
