"""Products with a factor per channel, and means: values and derivatives are those of torch."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.twice import draw, inside, vjp
from sib.double_backward import second_order
from sib.double_backward.checks import graph_nodes

LAYOUTS = [torch.contiguous_format, torch.channels_last]


@pytest.fixture(autouse=True, scope="module")
def no_map_is_small():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sib.double_backward.channel_gate._LARGE", 1)
        yield


def gate(x, s):
    return x * s


def squeeze_excitation(x, weight):
    """The gate is a function of x as well."""
    return torch.sigmoid(x.mean((2, 3), keepdim=True) * weight).mul(x)


def names_in_graph(tensor):
    return {node.name() for node in graph_nodes(tensor)}


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("swapped", [False, True])
def test_a_gate_has_exact_derivatives(layout, swapped):
    x, s = draw(2, 3, 4, 5), draw(2, 3, 1, 1)
    x = x.detach().to(memory_format=layout).requires_grad_()
    function = inside(lambda x, s: s * x if swapped else torch.mul(x, s))
    assert torch.equal(function(x, s), x * s)
    assert torch.autograd.gradcheck(function, (x, s))
    assert torch.autograd.gradgradcheck(function, (x, s))
    assert torch.autograd.gradcheck(vjp(function), (x, s))


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 0.03)]
)
def test_squeeze_excitation_is_that_of_torch(dtype, tolerance, layout):
    x = torch.randn(2, 6, 5, 7).to(dtype).to(memory_format=layout)
    weight = torch.randn(2, 6, 1, 1).to(dtype)

    def gradients(context, dtype):
        leaves = [each.to(dtype).requires_grad_() for each in (x, weight)]
        y = context(squeeze_excitation)(*leaves)
        (R,) = torch.autograd.grad(y.sigmoid().sum(), leaves[0], create_graph=True)
        loss = R.double().square().sum() + y.double().cos().sum()
        return [y, R, *torch.autograd.grad(loss, leaves)]

    ours, expected = gradients(inside, dtype), gradients(lambda f: f, torch.float64)
    assert "_ChannelGateBackward" in names_in_graph(ours[0])
    for found, exact in zip(ours, expected, strict=True):
        assert found.dtype == dtype
        assert (found.double() - exact).norm() <= tolerance * exact.norm()


@settings(deadline=None)
@given(shape=st.lists(st.integers(1, 4), min_size=3, max_size=5), seed=st.integers(0, 99))
def test_a_gate_of_any_shape_is_that_of_torch(shape, seed):
    generator = torch.Generator().manual_seed(seed)
    s_shape = [*shape[:2], *[1] * (len(shape) - 2)]
    values = [torch.randn(n, generator=generator).double() for n in (shape, s_shape, shape)]
    found = []
    for context in (inside, lambda f: f):
        x, s, gy = (each.clone().requires_grad_() for each in values)
        y = context(gate)(x, s)
        gx, gs = torch.autograd.grad(y, (x, s), gy, create_graph=True)
        found.append(torch.autograd.grad(gx.sin().sum() + gs.cos().sum(), (x, s, gy)))
    for ours, expected in zip(*found, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("x", "s"),
    [
        (torch.randn(2, 3, 4, 4), 2.0),
        (torch.randn(2, 3, 4, 4), torch.randn(3, 1, 1)),
        (torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)),
        (torch.randn(2, 3, 4, 4), torch.randn(2, 3, 1, 1).double()),
        (torch.randn(2, 3, 4, 4), torch.randn(2, 1, 1, 1)),
        (torch.randn(2, 3, 1, 1), torch.randn(2, 3, 1, 1)),
        (torch.randn(2, 3), torch.randn(2, 3)),
        (torch.randn(0, 3, 4, 4), torch.randn(0, 3, 1, 1)),
    ],
)
def test_other_products_are_left_to_torch(x, s):
    x, s = x.requires_grad_(), s.requires_grad_() if isinstance(s, torch.Tensor) else s
    with second_order():
        y = x * s
        assert torch.equal(torch.mul(x, other=s), y)
        assert torch.equal(torch.mul(x, x2=s) if isinstance(s, torch.Tensor) else y, y)
        with torch.no_grad():
            out = torch.empty_like(y)
            assert torch.mul(x, s, out=out) is out and torch.equal(out, y)
    assert y.grad_fn.name() == "MulBackward0"
    assert torch.equal(y, x * s)


def test_small_maps_are_left_to_torch(monkeypatch):
    monkeypatch.setattr("sib.double_backward.channel_gate._LARGE", 97)
    x, s = draw(2, 3, 4, 4), draw(2, 3, 1, 1)
    assert inside(gate)(x, s).grad_fn.name() == "MulBackward0"


def test_third_derivatives_of_a_gate_are_refused():
    x, s = draw(2, 3, 4, 4), draw(2, 3, 1, 1)
    (gx,) = torch.autograd.grad(inside(gate)(x, s).square().sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(gx.square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        second.sum().backward()


MEANS = [
    lambda x: x.mean((2, 3), keepdim=True),
    lambda x: torch.mean(x, dim=1),
    lambda x: x.mean(-1, True),
    lambda x: F.adaptive_avg_pool2d(x, 1),
    lambda x: F.adaptive_avg_pool2d(x, (1, 1)),
    torch.nn.AdaptiveAvgPool2d(1),
]


@pytest.mark.parametrize("function", MEANS)
def test_a_mean_is_that_of_torch_and_its_gradient_takes_no_memory(function):
    x = draw(2, 3, 4, 5)
    y = inside(function)(x)
    torch.testing.assert_close(y, function(x), rtol=1e-12, atol=1e-15)
    assert torch.autograd.gradgradcheck(inside(function), x)
    (gx,) = torch.autograd.grad(y, x, torch.ones_like(y))
    assert gx.shape == x.shape and gx.untyped_storage().nbytes() <= 8 * y.numel()


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.mean(),
        lambda x: x.mean(()),
        lambda x: x.mean([]),
        lambda x: x.mean(dtype=torch.float64),
        lambda x: x.half().mean((2, 3)),
        lambda x: torch.mean(x, 1, dtype=torch.float64),
        lambda x: torch.mean(x, axis=1),
        lambda x: x.mean(1, keepdims=True),
        lambda x: x.mean(None, True),
        lambda x: torch.mean(x, dim=None, keepdim=True),
        lambda x: x.sum().mean(0),
        lambda x: F.adaptive_avg_pool2d(x, 2),
        lambda x: F.adaptive_avg_pool2d(x, (None, 1)),
    ],
)
def test_other_means_are_left_to_torch(function):
    x = torch.randn(2, 3, 4, 5, requires_grad=True)
    assert torch.equal(inside(function)(x), function(x))


@pytest.mark.parametrize("dim", [4, (0, -5)])
def test_an_axis_that_is_not_there_is_refused_by_torch(dim):
    with pytest.raises(IndexError, match="Dimension out of range"):
        inside(lambda: draw(2, 3, 4, 5).mean(dim))()
