"""HSIC and the random projection: hand values, two estimators, invariances, refusals."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

from helpers import reference
from sib import functional as SF

ESTIMATORS = ["biased", "unbiased"]
REFERENCE = {"biased": reference.hsic_biased, "unbiased": reference.hsic_unbiased}
seeds = st.integers(0, 2**31 - 1)
quick = settings(max_examples=25, deadline=None)


def draw(seed, *shape):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def column(*values):
    return torch.tensor(values, dtype=torch.float64)[:, None]


# Of single columns the biased estimator is (Σ (x − mean x)(y − mean y))² / (B − 1)².
# (−1, 1) with itself: 2² / 1 = 4. (0, 1, 2) with (0, 0, 3): (1 + 0 + 2)² / 4 = 9/4.
#
# Unbiased, B = 4. (1, 1, −1, −1) with itself: tr = 12, 1ᵀK~1 = 0² − 4 = −4, row sums −1:
# (12 + 16/6 − 4) / 4 = 8/3. (1, 2, 3, 4) with (1, 1, 0, 0): tr = 2·2 = 4, 1ᵀK~1 = 100 − 30 = 70,
# 1ᵀL~1 = 2, row sums of K~ (9, 16, 21, 24) and of L~ (1, 1, 0, 0), 1ᵀK~L~1 = 25:
# (4 + 140/6 − 25) / 4 = 7/12.
@pytest.mark.parametrize(
    ("estimator", "x", "y", "expected"),
    [
        ("biased", (-1, 1), (-1, 1), 4.0),
        ("biased", (0, 1, 2), (0, 0, 3), 2.25),
        ("unbiased", (1, 1, -1, -1), (1, 1, -1, -1), 2.6666666666666665),
        ("unbiased", (1, 2, 3, 4), (1, 1, 0, 0), 0.5833333333333333),
    ],
)
def test_by_hand(estimator, x, y, expected):
    result = SF.hsic(column(*x), column(*y), estimator)
    assert result.shape == ()
    assert result.item() == pytest.approx(expected, rel=1e-12)


def test_biased_is_the_default():
    z1, z2 = draw(0, 6, 4), draw(1, 6, 3)
    assert SF.hsic(z1, z2) == SF.hsic(z1, z2, "biased") != SF.hsic(z1, z2, "unbiased")


@pytest.mark.parametrize("estimator", ESTIMATORS)
@quick
@given(seed=seeds, size=st.integers(4, 9), left=st.integers(1, 6), right=st.integers(1, 6))
def test_agrees_with_reference(estimator, seed, size, left, right):
    z1, z2 = draw(seed, size, left) + 1, draw(seed + 1, size, right) - 2
    result, expected = SF.hsic(z1, z2, estimator), REFERENCE[estimator](z1, z2)
    torch.testing.assert_close(result, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("size", [4, 5, 6])
def test_unbiased_is_the_mean_over_distinct_quadruples(size):
    z1, z2 = draw(2, size, 3), draw(3, size, 2)
    expected = reference.hsic_unbiased_by_tuples(z1, z2)
    reference.assert_near(SF.hsic(z1, z2, "unbiased"), expected, 1e-10)
    reference.assert_near(reference.hsic_unbiased(z1, z2), expected, 1e-10)


def test_independent_rows():
    """Unit Gaussian rows: the biased estimator sits near 1/(B−1) = .0159, the unbiased near 0."""
    z1, z2 = (torch.nn.functional.normalize(draw(seed, 64, 4096)) for seed in (4, 5))
    assert SF.hsic(z1, z2, "biased").item() == pytest.approx(1 / 63, rel=0.02)
    assert abs(SF.hsic(z1, z2, "unbiased").item()) < 5e-5


def test_unbiased_has_mean_zero_on_small_independent_batches():
    """2000 batches of 5: the mean lies within four standard errors of 0, the biased far above."""
    left, right = draw(6, 2000, 5, 3), draw(7, 2000, 5, 3)
    means = {}
    for estimator in ESTIMATORS:
        values = torch.stack(
            [SF.hsic(a, b, estimator) for a, b in zip(left, right, strict=True)],
        )
        means[estimator] = values.mean() / (values.std() / 2000**0.5)
    assert abs(means["unbiased"]) < 4 < 20 < means["biased"]


@pytest.mark.parametrize("estimator", ESTIMATORS)
@quick
@given(seed=seeds, size=st.integers(4, 8))
def test_invariances(estimator, seed, size):
    z1, z2 = draw(seed, size, 5), draw(seed + 1, size, 3)
    order = torch.randperm(size, generator=torch.Generator().manual_seed(seed))
    rotation = torch.linalg.qr(draw(seed + 2, 5, 5)).Q
    expected = SF.hsic(z1, z2, estimator)
    for name, (a, b) in {
        "joint order of the batch": (z1[order], z2[order]),
        "the two sides exchanged": (z2, z1),
        "sign": (-z1, z2),
        "rotation of the features": (z1 @ rotation, z2),
        "shift of all rows": (z1 + draw(seed + 3, 5), z2 + draw(seed + 4, 3)),
    }.items():
        result = SF.hsic(a, b, estimator)
        assert result.item() == pytest.approx(expected.item(), rel=1e-8, abs=1e-10), name
    scaled = SF.hsic(3 * z1, 0.5 * z2, estimator)
    assert scaled.item() == pytest.approx(2.25 * expected.item(), rel=1e-8, abs=1e-10)


@quick
@given(seed=seeds, size=st.integers(2, 8))
def test_biased_is_never_negative(seed, size):
    assert SF.hsic(draw(seed, size, 4), draw(seed + 1, size, 4)) >= 0


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("check", [gradcheck, gradgradcheck])
def test_derivatives(estimator, check):
    z1, z2 = draw(8, 5, 3).requires_grad_(True), draw(9, 5, 2).requires_grad_(True)
    assert check(lambda a, b: SF.hsic(a, b, estimator), [z1, z2])


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_equal_rows_carry_nothing(estimator):
    z1 = torch.ones(5, 4, dtype=torch.float64, requires_grad=True)
    result = SF.hsic(z1, draw(10, 5, 3), estimator)
    (gradient,) = torch.autograd.grad(result, z1)
    assert abs(result.item()) < 1e-12 and gradient.isfinite().all()


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(estimator, dtype):
    """The Gram matrix of these rows, near 400 · 1000, overflows float16."""
    z1, z2 = (20 * draw(11, 6, 1000)).to(dtype), (20 * draw(12, 6, 1000)).to(dtype)
    result = SF.hsic(z1, z2, estimator)
    assert result.dtype == torch.float32
    torch.testing.assert_close(result, SF.hsic(z1.float(), z2.float(), estimator), rtol=0, atol=0)
    reference.assert_near(result, REFERENCE[estimator](z1.double(), z2.double()), 1e-4)


@pytest.mark.parametrize(("estimator", "size"), [("biased", 1), ("unbiased", 1), ("unbiased", 3)])
def test_too_small_a_batch_is_refused(estimator, size):
    with pytest.raises(ValueError, match=rf"batch.*\b{size}\b"):
        SF.hsic(draw(13, size, 3), draw(14, size, 3), estimator)


def test_the_smallest_batches_are_accepted():
    assert SF.hsic(draw(13, 2, 3), draw(14, 2, 3)).isfinite()
    assert SF.hsic(draw(13, 4, 3), draw(14, 4, 3), "unbiased").isfinite()


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="estimator"):
        SF.hsic(draw(15, 5, 3), draw(16, 5, 3), "best")
    with pytest.raises(ValueError, match="z2"):
        SF.hsic(draw(15, 5, 3), draw(16, 4, 3))
    with pytest.raises(ValueError, match="z1"):
        SF.hsic(draw(15, 5), draw(16, 5, 3))
    with pytest.raises(ValueError, match="z2"):
        SF.hsic(draw(15, 5, 3), draw(16, 5))


def test_projection_is_standard_gaussian():
    matrix = SF.random_projection(300, 200, torch.Generator().manual_seed(0), dtype=torch.float64)
    assert matrix.shape == (300, 200) and matrix.dtype == torch.float64
    # 60 000 draws: the standard error of the mean is .0041, of the variance .0058, of the
    # fourth moment (3 for a Gaussian, 1.8 for a uniform) sqrt(96 / 60 000) = .04.
    assert abs(matrix.mean().item()) < 0.0164
    assert abs(matrix.var().item() - 1) < 0.0232
    assert abs((matrix**4).mean().item() - 3) < 0.16


def test_projection_follows_its_generator():
    def matrix(seed):
        return SF.random_projection(7, 5, generator=torch.Generator().manual_seed(seed))

    assert torch.equal(matrix(0), matrix(0)) and not torch.equal(matrix(0), matrix(1))
    assert matrix(0).dtype == torch.float32 and matrix(0).device.type == "cpu"


def test_projection_without_a_generator_follows_the_global_seed():
    torch.manual_seed(3)
    first, second = SF.random_projection(7, 5), SF.random_projection(7, 5)
    torch.manual_seed(3)
    assert torch.equal(SF.random_projection(7, 5), first) and not torch.equal(first, second)


@pytest.mark.parametrize("estimator", ["biased", "unbiased"])
def test_two_precisions_meet_in_the_wider_one(estimator):
    z1, z2 = torch.randn(6, 3), torch.randn(6, 2, dtype=torch.float64)
    result = SF.hsic(z1, z2, estimator)
    assert result.dtype == torch.float64
    assert torch.equal(result, SF.hsic(z1.double(), z2, estimator))


@pytest.mark.parametrize("estimator", ["biased", "unbiased"])
def test_sums_do_not_overflow_before_the_result(estimator):
    z = 1e9 + torch.zeros(5, 1, requires_grad=True)
    result = SF.hsic(z, z, estimator)
    (gradient,) = torch.autograd.grad(result, z)
    assert result.isfinite() and gradient.isfinite().all()
