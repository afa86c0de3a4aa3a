"""Batch norm in evaluation mode, and layer norm: values and derivatives are those of torch."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from helpers.twice import draw, inside, vjp
from sib.double_backward import second_order


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("shape", [(3, 2, 4, 3), (4, 3, 5)])
def test_frozen_batch_norm_has_exact_first_and_second_derivatives(affine, shape):
    weights = (draw(shape[1]), draw(shape[1])) if affine else (None, None)
    mean, variance = torch.randn(shape[1]).double(), torch.rand(shape[1]).double() + 0.5
    inputs = (draw(*shape), *weights)

    def function(x, weight, bias):
        return F.batch_norm(x, mean, variance, weight, bias, training=False)

    torch.testing.assert_close(inside(function)(*inputs), function(*inputs), rtol=1e-12, atol=0)
    assert torch.autograd.gradcheck(inside(function), inputs)
    assert torch.autograd.gradgradcheck(inside(function), inputs)
    assert torch.autograd.gradcheck(vjp(inside(function)), inputs)


def test_frozen_batch_norm_by_hand():
    """γ = 3, σ² = 4 − ε: y = 3 (x − 1) / 2 + 5, so R = 1.5 gy and ∂R/∂γ = gy / 2."""
    x, weight, bias = (torch.full((1,), v, dtype=torch.float64) for v in (7.0, 3.0, 5.0))
    x, weight = x.view(1, 1, 1).requires_grad_(), weight.requires_grad_()
    statistics = (torch.ones(1).double(), torch.full((1,), 4 - 1e-5).double())
    y = inside(lambda: F.batch_norm(x, *statistics, weight, bias))()
    gy = torch.full_like(y, 8.0)
    (gx,) = torch.autograd.grad(y, x, gy, create_graph=True)
    assert (y.item(), gx.item()) == pytest.approx((14.0, 12.0))
    assert torch.autograd.grad(gx, weight)[0].item() == pytest.approx(4.0)


@pytest.mark.parametrize("trains", [("weight",), ("bias",), ()])
def test_frozen_batch_norm_with_a_part_that_does_not_train(trains):
    layer = nn.BatchNorm2d(2).double().eval()
    for name, parameter in layer.named_parameters():
        parameter.requires_grad_(name in trains)
        parameter.data.normal_()
    x, found = draw(3, 2, 4, 4), []
    for context in (second_order, torch.enable_grad):
        with context():
            y = layer(x)
        (gx,) = torch.autograd.grad(y.sigmoid().square().sum(), x, create_graph=True)
        wanted = [x, *(p for p in layer.parameters() if p.requires_grad)]
        found.append(torch.autograd.grad(gx.square().sum() + y.cos().sum(), wanted))
    for ours, expected in zip(*found, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("affine", ["weight and bias", "weight", "none"])
@pytest.mark.parametrize("shape", [(6,), (4, 6)])
def test_layer_norm_has_exact_first_and_second_derivatives(affine, shape):
    weight = None if affine == "none" else draw(*shape)
    bias = draw(*shape) if affine == "weight and bias" else None
    inputs = (draw(3, 4, 6), weight, bias)

    def function(x, weight, bias):
        return F.layer_norm(x, shape, weight, bias)

    torch.testing.assert_close(inside(function)(*inputs), function(*inputs), rtol=1e-12, atol=1e-15)
    assert torch.autograd.gradcheck(inside(function), inputs)
    assert torch.autograd.gradcheck(vjp(inside(function)), inputs)


def test_layer_norm_of_permuted_values():
    x = draw(2, 6, 3, 4)
    function = inside(lambda a: F.layer_norm(a.permute(0, 2, 3, 1), (6,)).permute(0, 3, 1, 2))
    assert torch.autograd.gradcheck(vjp(function), x)


@pytest.mark.parametrize("autocast", [True, False])
def test_layer_norm_in_bfloat16_has_the_type_that_torch_gives(autocast):
    layer = nn.LayerNorm(8)
    if not autocast:
        layer = layer.bfloat16()
    x = torch.randn(4, 8).bfloat16().requires_grad_()
    found = []
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        for context in (second_order, torch.enable_grad):
            with context():
                y = layer(x)
            (gx,) = torch.autograd.grad(y.float().sigmoid().sum(), x, create_graph=True)
            (second,) = torch.autograd.grad(gx.float().square().sum(), x)
            found.append((y, gx, second))
    for ours, expected in zip(*found, strict=True):
        assert ours.dtype == expected.dtype
        scale = expected.abs().max().item()
        torch.testing.assert_close(ours, expected, rtol=0, atol=0.05 * scale)


def test_layer_norm_words_its_refusals_as_torch_does():
    with second_order(), pytest.raises(RuntimeError, match="normalized_shape"):
        F.layer_norm(torch.randn(2, 3, requires_grad=True), (4,))


def test_kernels_that_cannot_be_built_leave_the_work_to_torch(monkeypatch):
    from sib.double_backward import batch_norm

    def fails():
        raise RuntimeError("Failed to find C compiler.\nMore lines")

    kernels = pytest.importorskip("sib.double_backward.batch_norm_triton")
    monkeypatch.setattr(kernels, "try_out", fails)
    batch_norm._triton_kernels.cache_clear()
    with pytest.warns(UserWarning, match=r"torch's kernels.*: Failed to find C compiler\.$"):
        assert batch_norm._triton_kernels() is None
    assert batch_norm._triton_kernels() is None  # said once
    batch_norm._triton_kernels.cache_clear()
