"""Attention and softmax: values, first and second derivatives are those of torch."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from helpers.twice import draw, inside, kept_tensors, vjp
from sib.double_backward import attention, second_order

SOFTMAXES = [F.softmax, torch.softmax, torch.Tensor.softmax]


@pytest.mark.parametrize("function", SOFTMAXES, ids=["F", "torch", "Tensor"])
@pytest.mark.parametrize("dim", [1, -1])
def test_softmax_has_exact_first_and_second_derivatives(function, dim):
    x = draw(2, 3, 4)
    ours = inside(lambda a: function(a, dim=dim))
    assert torch.equal(ours(x), function(x, dim=dim))
    assert ours(x).grad_fn.name() == "_SoftmaxBackward"
    assert torch.autograd.gradcheck(ours, x)
    assert torch.autograd.gradgradcheck(ours, x)
    assert torch.autograd.gradcheck(vjp(ours), x)


def test_softmax_by_hand():
    """For P = (p, 1 − p), gx₀ = p (1 − p) (g₀ − g₁), and ∂gx₀/∂x₀ is (1 − 2 p) times that."""
    x = torch.tensor([0.0, 3.0], dtype=torch.float64, requires_grad=True)
    p, g = 1 / (1 + torch.e**3), torch.tensor([5.0, 2.0], dtype=torch.float64)
    (gx,) = torch.autograd.grad(inside(torch.softmax)(x, 0), x, g, create_graph=True)
    assert gx[0].item() == pytest.approx(p * (1 - p) * 3)
    (second,) = torch.autograd.grad(gx[0], x)
    assert second.tolist() == pytest.approx([(1 - 2 * p) * p * (1 - p) * 3 * s for s in (1, -1)])


@pytest.mark.parametrize("scale", [None, 0.3])
@pytest.mark.parametrize("shapes", [((2, 3, 4), (2, 5, 4), (2, 5, 6)), ((1, 2, 3, 2),) * 3])
def test_attention_has_exact_first_and_second_derivatives(shapes, scale):
    inputs = tuple(draw(*shape) for shape in shapes)

    def function(q, k, v):
        return F.scaled_dot_product_attention(q, k, v, scale=scale)

    torch.testing.assert_close(inside(function)(*inputs), function(*inputs), rtol=1e-12, atol=1e-14)
    assert torch.autograd.gradcheck(inside(function), inputs)
    assert torch.autograd.gradgradcheck(inside(function), inputs)
    assert torch.autograd.gradcheck(vjp(inside(function)), inputs)


@pytest.mark.parametrize(
    "options",
    [
        {"attn_mask": torch.tensor([[True, False], [False, False]])},
        {"attn_mask": torch.tensor([[0.5, -2.0], [1.0, 0.0]], dtype=torch.float64)},
        {"is_causal": True},
        {"dropout_p": 0.5},
        {"enable_gqa": True},
    ],
    ids=lambda options: next(iter(options)),
)
def test_other_kinds_of_attention_are_left_to_torch(options, monkeypatch):
    """Its answer for a row that is masked as a whole is 0."""
    monkeypatch.setattr(attention, "_Attention", None)
    q, k, v = (draw(1, 2, 2, 3) for _ in range(3))
    if "enable_gqa" in options:
        k, v = draw(1, 1, 2, 3), draw(1, 1, 2, 3)
    found = []
    for context in (second_order, attention_plain):
        torch.manual_seed(0)
        with context():
            y = F.scaled_dot_product_attention(q, k, v, **options)
        (gq,) = torch.autograd.grad(y.square().sum(), q, create_graph=True)
        found.append((y, *torch.autograd.grad(gq.square().sum(), (q, k, v))))
    for ours, torchs in zip(*found, strict=True):
        assert torch.equal(ours, torchs)


@pytest.mark.parametrize("empty", ["query", "key", "value"])
def test_attention_to_nothing_is_left_to_torch(empty):
    """Without a key, there is nothing to attend to, and the answer of torch is 0."""
    q, k, v = draw(2, 3, 4), draw(2, 3, 4), draw(2, 3, 4)
    if empty == "query":
        q = q[:, :0]
    elif empty == "key":
        k, v = k[:, :0], v[:, :0]
    else:
        v = v[..., :0]
    expected = F.scaled_dot_product_attention(q, k, v)
    assert torch.equal(inside(F.scaled_dot_product_attention)(q, k, v), expected)


def test_attention_keeps_two_tensors_of_scores():
    """P for the backward pass and g for that of the VJP; all else is of the size of q, k or v."""
    places = 7
    q, k, v = (torch.randn(1, places, 2, requires_grad=True) for _ in range(3))
    with second_order():
        y = F.scaled_dot_product_attention(q, k, v)
    (gq,) = torch.autograd.grad(y.square().sum(), q, create_graph=True)
    kept = kept_tensors(gq)
    scores = {t.data_ptr() for t in kept if tuple(t.shape[-2:]) == (places, places)}
    assert len(scores) == 2


def attention_plain():
    return nn.attention.sdpa_kernel(nn.attention.SDPBackend.MATH)


def test_other_kinds_of_softmax_are_left_to_torch(monkeypatch):
    monkeypatch.setattr(attention, "_Softmax", None)
    x = torch.randn(2, 3, requires_grad=True)
    with second_order():
        assert F.softmax(x, 1, dtype=torch.float64).dtype == torch.float64
        assert x.softmax(1, torch.float64).dtype == torch.float64
        assert x.bfloat16().softmax(1).dtype == torch.bfloat16
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert x.softmax(1).dtype == torch.float32
        assert torch.equal(torch.softmax(x, axis=1), x.softmax(axis=1))
        out = torch.zeros(2, 3)
        assert torch.softmax(x.detach(), 1, out=out) is out and out.sum() > 1.9
        with torch.no_grad():
            assert torch.equal(torch.softmax(x, 1), x.softmax(1))
        with pytest.raises(IndexError, match="out of range"):
            x.detach().bfloat16().softmax(2)


def attend_to_itself(x):
    return F.scaled_dot_product_attention(x[None], x[None], x[None])


@pytest.mark.parametrize("function", [lambda x: x.softmax(1), attend_to_itself])
def test_third_derivatives_are_refused(function):
    x = draw(2, 3)
    R = vjp(inside(function))(x)
    (second,) = torch.autograd.grad(R.square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        second.sum().backward()
