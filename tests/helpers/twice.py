"""Helpers of the tests of second derivatives."""

import torch

from sib.double_backward import second_order
from sib.double_backward.checks import graph_nodes


def draw(*shape):
    """A leaf of random numbers in float64."""
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


def inside(function):
    """The function, computed inside `sib.second_order`."""

    def run(*inputs):
        with second_order():
            return function(*inputs)

    return run


def vjp(function):
    """Gradient of a nonlinear scalar of the output at the first input: what S-IB differentiates."""

    def run(*inputs):
        y = function(*inputs)
        return torch.autograd.grad(y.sigmoid().square().sum(), inputs[0], create_graph=True)[0]

    return run


def kept_tensors(output):
    """The tensors that the graph of an output holds for its backward pass."""
    found = []
    for node in graph_nodes(output):
        names = [name for name in dir(node) if name.startswith("_saved_")]
        found += [*getattr(node, "saved_tensors", ()), *(getattr(node, name) for name in names)]
    return [each for each in found if isinstance(each, torch.Tensor)]
