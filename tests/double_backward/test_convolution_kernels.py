"""Convolutions whose gradients take other kernels than torch's: wide depthwise, or one pixel."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from helpers.twice import draw, inside, vjp
from sib.double_backward.convolution import Geometry


@settings(deadline=None)
@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    kernel=st.tuples(st.integers(1, 4), st.integers(4, 8)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(st.integers(0, 3), st.integers(0, 5)),
    rows_apart=st.integers(1, 2),
)
def test_the_columns_are_those_of_torch(size, kernel, stride, padding, rows_apart):
    span = (kernel[0] - 1) * rows_apart + 1, kernel[1]
    assume(all(n + 2 * p >= k for n, p, k in zip(size, padding, span, strict=True)))
    geometry = Geometry(list(stride), list(padding), [rows_apart, 1], 2)
    x, weight = torch.randn(3, 2, *size).double(), torch.randn(2, 1, *kernel).double()
    gy = torch.randn_like(geometry.forward(x, weight, None))
    expected = geometry._backward(gy, x, weight, [False, True, False])[1]
    found = geometry._weight_gradient(gy, x, weight)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.02)])
def test_the_gradients_of_a_depthwise_network_are_those_of_torch(dtype, tolerance, layout):
    torch.manual_seed(0)
    x = torch.randn(2, 4, 9, 9).to(dtype).to(memory_format=layout)
    weights = torch.randn(4, 1, 5, 5).to(dtype), torch.randn(4).to(dtype)

    def gradients(context, dtype):
        leaves = [each.to(dtype).requires_grad_() for each in (x, *weights)]
        function = context(lambda x, w, b: F.conv2d(x, w, b, 2, 2, 1, 4))
        R = vjp(function)(*leaves)
        loss = R.double().square().sum() + function(*leaves).double().cos().sum()
        return torch.autograd.grad(loss, leaves)

    for found, expected in zip(
        gradients(inside, dtype), gradients(lambda f: f, torch.float64), strict=True
    ):
        assert found.dtype == dtype
        assert (found.double() - expected).norm() <= tolerance * expected.norm()


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="it is oneDNN that is slow")
def test_no_wide_weight_gradient_is_left_to_onednn(monkeypatch):
    widths, original = [], Geometry._backward

    def watch(self, gy, x, weight, mask):
        if mask[1]:
            widths.append(weight.shape[3])
        return original(self, gy, x, weight, mask)

    monkeypatch.setattr(Geometry, "_backward", watch)
    x, weight = torch.randn(1, 2, 9, 9).requires_grad_(), torch.randn(2, 1, 7, 7).requires_grad_()
    function = inside(lambda x, w: F.conv2d(x, w, padding=3, groups=2))
    vjp(function)(x, weight).square().sum().backward()
    assert widths and set(widths) == {1, 3}


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("size", [(5, 4), (1, 1)])
def test_a_kernel_of_one_pixel_has_exact_derivatives(size, bias, layout):
    x = draw(2, 3, *size).detach().to(memory_format=layout).requires_grad_()
    inputs = (x, draw(4, 3, 1, 1), draw(4) if bias else None)
    torch.testing.assert_close(inside(F.conv2d)(*inputs), F.conv2d(*inputs), rtol=1e-12, atol=0)
    assert torch.autograd.gradcheck(inside(F.conv2d), inputs)
    assert torch.autograd.gradgradcheck(inside(F.conv2d), inputs)
    assert torch.autograd.gradcheck(vjp(inside(F.conv2d)), inputs)


@pytest.mark.parametrize(
    ("options", "products"),
    [({}, 1), ({"stride": 2}, 0), ({"padding": 1}, 0), ({"groups": 2}, 0)],
)
def test_which_gradients_are_matrix_products(options, products, monkeypatch):
    """And all of them are those of torch."""
    calls, original = [], torch.bmm
    x, weight = draw(2, 4, 5, 6), draw(4, 4 // options.get("groups", 1), 1, 1)
    y = inside(lambda: F.conv2d(x, weight, **options))()
    monkeypatch.setattr(torch, "bmm", lambda *inputs: calls.append(inputs) or original(*inputs))
    (found,) = torch.autograd.grad(y.sin().sum(), x)
    assert len(calls) == products
    (expected,) = torch.autograd.grad(F.conv2d(x, weight, **options).sin().sum(), x)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
