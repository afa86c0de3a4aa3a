"""Activations: values, first and second derivatives, in place and not, are those of torch."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from helpers.twice import inside, vjp
from sib.double_backward import second_order

ACTIVATIONS = [
    F.relu,
    torch.relu,
    torch.Tensor.relu,
    F.relu6,
    F.hardtanh,
    F.hardsigmoid,
    F.hardswish,
    F.silu,
    F.gelu,
]
IN_PLACE = [F.relu, F.relu6, F.hardtanh, F.hardsigmoid, F.hardswish, F.silu]


def formula(function, x):
    """The same, by operations whose derivatives torch derives one by one."""
    zero = torch.zeros_like(x)
    clamped = torch.minimum(torch.maximum(x + 3, zero), zero + 6) / 6
    return {
        F.relu: lambda: torch.maximum(x, zero),
        F.relu6: lambda: torch.minimum(torch.maximum(x, zero), zero + 6),
        F.hardtanh: lambda: torch.minimum(torch.maximum(x, zero - 1), zero + 1),
        F.hardsigmoid: lambda: clamped,
        F.hardswish: lambda: x * clamped,
        F.silu: lambda: x / (1 + torch.exp(-x)),
        F.gelu: lambda: x * (1 + torch.erf(x / 2**0.5)) / 2,
    }[function]()


def points():
    """Away from the kinks."""
    return torch.linspace(-7.05, 7.05, 48, dtype=torch.float64).view(2, 3, 2, 4).requires_grad_()


def name_of(function):
    """The same in every process, which the address in ``str(function)`` is not."""
    return function.__name__


@pytest.mark.parametrize("function", ACTIVATIONS, ids=name_of)
def test_derivatives_are_exact(function):
    x = points()
    torch.testing.assert_close(inside(function)(x), function(x), rtol=1e-12, atol=0)
    assert torch.autograd.gradcheck(inside(function), x)
    assert torch.autograd.gradgradcheck(inside(function), x)
    assert torch.autograd.gradcheck(vjp(inside(function)), x)


@pytest.mark.parametrize("function", IN_PLACE, ids=name_of)
def test_derivatives_are_exact_in_place(function):
    def changed(x):
        y = x * 1.0
        z = function(y, inplace=True)
        assert z is y
        return y * 2

    x = points()
    torch.testing.assert_close(inside(changed)(x), 2 * function(x), rtol=1e-12, atol=0)
    assert torch.autograd.gradcheck(inside(changed), x)
    assert torch.autograd.gradcheck(vjp(inside(changed)), x)


@pytest.mark.parametrize("function", [*IN_PLACE, F.gelu], ids=name_of)
@settings(deadline=None)
@given(value=st.floats(-20, 20), slope=st.floats(-3, 3), arriving=st.floats(-3, 3))
def test_second_derivative_is_that_of_the_formula(function, value, slope, arriving):
    if min(abs(value - kink) for kink in (-3, -1, 0, 1, 3, 6)) < 1e-6:
        return
    results = []
    for run in (inside(function), lambda x: formula(function, x)):
        x = torch.tensor([value], dtype=torch.float64, requires_grad=True)
        gy = torch.tensor([slope], dtype=torch.float64, requires_grad=True)
        (gx,) = torch.autograd.grad(run(x), x, gy, create_graph=True)
        v = torch.tensor([arriving], dtype=torch.float64)
        results.append(
            torch.autograd.grad(gx, (gy, x), v, allow_unused=True, materialize_grads=True)
        )
    for ours, expected in zip(*results, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x * F.relu6(x + 3).div_(6),
        lambda x: F.hardtanh(x).mul_(x),
        lambda x: F.hardsigmoid(x * 1.0, inplace=True).mul_(2) * x,
        lambda x: F.silu(x).mul_(2),
        lambda x: F.silu(x * 1.0, inplace=True).mul_(2),
    ],
)
def test_an_output_may_be_changed_where_torch_allows_it(function):
    x = points()
    torch.testing.assert_close(inside(function)(x), function(x))
    assert torch.autograd.gradcheck(vjp(inside(function)), x)


def test_silus_second_derivative_at_zero_is_a_half():
    """f(x) = x sigmoid(x) = x / 2 + x² / 4 + …"""
    x = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    (gx,) = torch.autograd.grad(inside(F.silu)(x), x, torch.ones_like(x), create_graph=True)
    assert torch.autograd.grad(gx, x)[0].item() == pytest.approx(0.5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("function", [F.silu, F.gelu, F.hardswish], ids=name_of)
def test_half_precision_is_rounded_once(function, dtype):
    """A product v · gy of 1e-8 would be lost in float16."""
    x = torch.linspace(-2.5, 2.5, 40).to(dtype).requires_grad_()
    small = torch.full_like(x, 1e-4)
    (gx,) = torch.autograd.grad(inside(function)(x), x, small.requires_grad_(), create_graph=True)
    (found,) = torch.autograd.grad(gx, x, 1e4 * small.detach())
    wide = x.detach().double().requires_grad_()
    (gx,) = torch.autograd.grad(formula(function, wide), wide, small.double(), create_graph=True)
    (expected,) = torch.autograd.grad(gx, wide, 1e4 * small.detach().double())
    assert found.dtype == dtype
    step = torch.finfo(dtype).eps * expected.abs() + 6e-8
    assert ((found.double() - expected).abs() <= step).all()


def test_channels_last_is_kept():
    x = torch.randn(2, 4, 3, 3).to(memory_format=torch.channels_last).requires_grad_()
    y = inside(F.silu)(x)
    (gx,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(gx.square().sum(), x)
    for each in (y, gx, second):
        assert each.is_contiguous(memory_format=torch.channels_last)


def test_other_calls_are_left_to_torch():
    x = torch.randn(2, 3, requires_grad=True)
    with second_order():
        with pytest.raises(RuntimeError, match="in-place"):
            F.relu(x, inplace=True)
        assert torch.equal(F.gelu(x, approximate="tanh"), nn.GELU("tanh")(x))
        with torch.no_grad():
            assert F.silu(x).grad_fn is None
        y = x * 1.0
        F.relu(y[:1], inplace=True)
        assert torch.equal(y, torch.cat([x[:1].relu(), x[1:]]))
        assert torch.equal(F.relu(torch.arange(-2, 3)), torch.tensor([0, 0, 0, 1, 2]))


def test_third_derivatives_of_silu_are_refused():
    x = points()
    (gx,) = torch.autograd.grad(inside(F.silu)(x).square().sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(gx.square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        second.sum().backward()
