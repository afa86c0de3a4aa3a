"""The examples of docstrings, run as tests."""

import doctest

import torch


def examples_of(name, value):
    """The examples in the docstring of a public name."""
    finder = doctest.DocTestFinder(recurse=False)
    return [test for test in finder.find(value, name) if test.examples]


def assert_examples_run(name, value):
    """There is an example, and each gives what it shows."""
    tests = examples_of(name, value)
    assert tests, f"{name} has no example"
    for test in tests:
        torch.manual_seed(0)
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
        runner.run(test)
        assert runner.summarize(verbose=False).failed == 0
