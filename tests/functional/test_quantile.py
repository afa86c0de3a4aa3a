"""The soft quantile: hand values, its laws, its derivatives and its refusals."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

from helpers import reference
from sib import functional as SF

seeds = st.integers(0, 2**31 - 1)
sizes = st.integers(1, 60)
levels = st.floats(0, 1)
temperatures = st.floats(0.05, 5)
quick = settings(max_examples=40, deadline=None)


def draw(seed, *shape):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(
    ("values", "q", "temperature", "expected"),
    [
        # Rank ½ of two: both lie ½ rank away, so half of each.
        ([4.0, 1.0], 0.5, 0.1, 2.5),
        # Rank 1 of three: weights e⁻¹ : 1 : e⁻¹, symmetrical about the median.
        ([5.0, 1.0, 3.0], 0.5, 1.0, 3.0),
        # Rank 0 of two: weights 1 : e⁻¹, so 10 e⁻¹ / (1 + e⁻¹) = 10 / (1 + e).
        ([10.0, 0.0], 0.0, 1.0, 2.6894142136999513),
        # The same at the default temperature: 10 / (1 + e¹⁰).
        ([10.0, 0.0], 0.0, 0.1, 0.0004539786870243439),
        # Rank ½ of three: weights e⁻¹ : e⁻¹ : e⁻³, so (1 + 4e⁻²) / (2 + e⁻²).
        ([4.0, 0.0, 1.0], 0.25, 0.5, 0.7218262841656317),
        ([7.0], 0.3, 0.1, 7.0),
    ],
)
def test_by_hand(values, q, temperature, expected):
    result = SF.soft_quantile(torch.tensor(values, dtype=torch.float64), q, temperature=temperature)
    assert result.shape == (1,)
    assert result.item() == pytest.approx(expected, rel=1e-12)


def test_default_temperature_is_a_tenth_of_a_rank():
    values = draw(0, 12)
    default = SF.soft_quantile(values, 0.37)
    reference.assert_near(default, reference.soft_quantile(values, 0.37, 0.1)[None], 1e-12)
    assert default != SF.soft_quantile(values, 0.37, temperature=0.2)


@pytest.mark.parametrize("dim", [0, 1, 2, -1, -2, -3])
def test_reduces_one_dimension_and_keeps_it(dim):
    values = draw(1, 5, 6, 7)
    result = SF.soft_quantile(values, 0.3, dim=dim, temperature=0.7)
    shape = [5, 6, 7]
    shape[dim] = 1
    assert list(result.shape) == shape
    lines = values.movedim(dim, -1).reshape(-1, values.shape[dim])
    expected = torch.stack([reference.soft_quantile(line, 0.3, 0.7) for line in lines])
    reference.assert_near(result.flatten(), expected, 1e-12)


@quick
@given(seeds, sizes, levels, temperatures)
def test_agrees_with_reference(seed, size, q, temperature):
    values = draw(seed, size) + 5
    result = SF.soft_quantile(values, q, temperature=temperature)
    expected = reference.soft_quantile(values, q, temperature)[None]
    reference.assert_near(result, expected, 1e-10)


@pytest.mark.parametrize("q", [0.05, 0.8, 0.95])
def test_picks_the_nearest_order_statistic_of_an_image(q):
    """31 × 31 values: ranks 48, 768 and 912 exactly; the neighbours weigh e⁻¹⁰ each."""
    values = draw(2, 961)
    statistic = values.sort().values[round(q * 960)]
    result = SF.soft_quantile(values, q)
    torch.testing.assert_close(result, statistic[None], rtol=0, atol=1e-4)
    reference.assert_near(result, reference.soft_quantile(values, q)[None], 1e-12)


@quick
@given(seeds, sizes, levels, temperatures)
def test_lies_between_the_extremes_and_ignores_order(seed, size, q, temperature):
    values = draw(seed, size)
    result = SF.soft_quantile(values, q, temperature=temperature)
    assert values.min() - 1e-12 <= result <= values.max() + 1e-12
    shuffled = SF.soft_quantile(values.flip(0), q, temperature=temperature)
    torch.testing.assert_close(shuffled, result, rtol=1e-12, atol=1e-14)


@quick
@given(seeds, sizes, levels, levels, temperatures)
def test_rises_with_q(seed, size, q1, q2, temperature):
    values = draw(seed, size)
    low = SF.soft_quantile(values, min(q1, q2), temperature=temperature)
    high = SF.soft_quantile(values, max(q1, q2), temperature=temperature)
    assert low <= high + 1e-12


@quick
@given(seeds, sizes, levels, st.floats(1e-3, 1e3), st.floats(-100, 100))
def test_follows_scale_shift_and_reflection(seed, size, q, scale, shift):
    values = draw(seed, size)
    result = SF.soft_quantile(values, q)
    moved = SF.soft_quantile(scale * values + shift, q)
    torch.testing.assert_close(moved, scale * result + shift, rtol=1e-9, atol=1e-9)
    mirrored = SF.soft_quantile(-values, 1 - q)
    torch.testing.assert_close(mirrored, -result, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("check", [gradcheck, gradgradcheck])
@pytest.mark.parametrize("dim", [0, -1])
def test_derivatives(check, dim):
    values = draw(3, 6, 7).requires_grad_(True)
    # The sum of squares makes the second derivative of this linear function non-trivial.
    assert check(lambda v: SF.soft_quantile(v, 0.8, dim=dim, temperature=1.0).square(), [values])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    values = draw(4, 3, 5000).to(dtype)
    result = SF.soft_quantile(values, 0.8)
    assert result.dtype == torch.float32
    torch.testing.assert_close(result, SF.soft_quantile(values.float(), 0.8), rtol=0, atol=0)


def test_equal_and_tiny_values_have_finite_gradients():
    for value in (0.0, 3.0, 1e-30):
        values = torch.full((50,), value, requires_grad=True)
        result = SF.soft_quantile(values, 0.8)
        torch.testing.assert_close(result, torch.full((1,), value), rtol=1e-5, atol=0)
        (gradient,) = torch.autograd.grad(result.sum(), values)
        assert gradient.isfinite().all()
        assert gradient.sum().item() == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("q", [-0.01, 1.01, float("nan")])
def test_q_outside_zero_to_one_is_refused(q):
    with pytest.raises(ValueError, match=r"\bq\b"):
        SF.soft_quantile(torch.rand(5), q)


@pytest.mark.parametrize("temperature", [0.0, -0.1, float("nan")])
def test_temperature_that_is_not_positive_is_refused(temperature):
    with pytest.raises(ValueError, match="temperature"):
        SF.soft_quantile(torch.rand(5), 0.5, temperature=temperature)


@pytest.mark.parametrize("dim", [1, -2])
def test_a_dimension_that_is_not_there_is_refused(dim):
    with pytest.raises(ValueError, match=rf"dim must be an axis of values \(5,\); got {dim}"):
        SF.soft_quantile(torch.rand(5), 0.5, dim=dim)
