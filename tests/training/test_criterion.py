"""Cross-entropy with smoothed labels and weighted classes, against a slow reference."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from sib.config.fine_tuning import FineTuningConfig
from sib.training.criterion import WeightedCrossEntropy, balanced_weights, make_criterion
from sib.utils.errors import InputError


def slow(logits, labels, smoothing, weights):
    """The formula of the docstring, number by number."""
    total = 0.0
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        own = label if isinstance(label, list) else [float(k == label) for k in range(len(row))]
        norm = math.log(sum(math.exp(value) for value in row))
        entropy = -sum(
            ((1 - smoothing) * q + smoothing / len(row)) * (value - norm)
            for q, value in zip(own, row, strict=True)
        )
        total += entropy * sum(q * w for q, w in zip(own, weights, strict=True))
    return total / len(labels)


def test_by_hand():
    logits = torch.tensor([[math.log(3.0), 0.0]], dtype=torch.float64)  # p = 3/4, 1/4
    label = torch.tensor([0])
    expected = -(0.9 * math.log(0.75) + 0.1 * math.log(0.25))
    assert WeightedCrossEntropy(0.2)(logits, label).item() == pytest.approx(expected)
    weights = torch.tensor([2.0, 5.0])
    assert WeightedCrossEntropy(0, weights)(logits, label).item() == pytest.approx(
        -2 * math.log(0.75)
    )


@given(st.integers(0, 10**6), st.floats(0, 0.99), st.booleans())
def test_against_the_slow_reference(seed, smoothing, soft):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(5, 4, generator=generator, dtype=torch.float64)
    weights = torch.rand(4, generator=generator, dtype=torch.float64)
    if soft:
        labels = torch.rand(5, 4, generator=generator, dtype=torch.float64).softmax(dim=1)
    else:
        labels = torch.randint(4, (5,), generator=generator)
    found = WeightedCrossEntropy(smoothing, weights)(logits, labels).item()
    assert found == pytest.approx(slow(logits, labels, smoothing, weights.tolist()), rel=1e-9)


def test_smoothing_alone_is_torchs():
    logits, labels = torch.randn(6, 3, dtype=torch.float64), torch.randint(3, (6,))
    found = WeightedCrossEntropy(0.1)(logits, labels)
    assert torch.allclose(found, F.cross_entropy(logits, labels, label_smoothing=0.1))


def test_the_mean_over_parts_is_that_of_the_batch():
    criterion = WeightedCrossEntropy(0.1, torch.tensor([0.2, 3.0]))
    logits, labels = torch.randn(6, 2, dtype=torch.float64), torch.tensor([0, 0, 1, 1, 1, 0])
    parts = [criterion(logits[i : i + 2], labels[i : i + 2]) for i in (0, 2, 4)]
    assert torch.allclose(sum(parts) / 3, criterion(logits, labels))


def test_gradient():
    criterion = WeightedCrossEntropy(0.1, torch.tensor([0.2, 3.0, 1.0], dtype=torch.float64))
    logits = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0, 1, 2, 0])
    assert torch.autograd.gradcheck(lambda each: criterion(each, labels), logits)
    assert torch.autograd.gradgradcheck(lambda each: criterion(each, labels), logits)


def test_balanced_weights_have_mean_1_over_the_images():
    counts = [1, 3, 8]
    weights = balanced_weights(counts)
    assert weights.tolist() == pytest.approx([4.0, 4 / 3, 0.5])
    mean = sum(n * w for n, w in zip(counts, weights.tolist(), strict=True)) / 12
    assert mean == pytest.approx(1)


def test_what_a_configuration_gives():
    assert make_criterion(FineTuningConfig(), [3, 0]) is F.cross_entropy
    criterion = make_criterion(FineTuningConfig(class_weights="balanced"), [1, 3])
    assert criterion.class_weights.tolist() == pytest.approx([2.0, 2 / 3])
    assert make_criterion(FineTuningConfig(label_smoothing=0.1), [3, 0]).class_weights is None
    with pytest.raises(InputError, match="class 1 has none"):
        make_criterion(FineTuningConfig(class_weights="balanced"), [3, 0])


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (torch.tensor([[0.5, 0.4], [1.0, 0.0]]), r"row 0 sum to 0\.9"),
        (torch.tensor([[1.0, 0.0], [1.5, -0.5]]), "must be at least 0"),
        (torch.tensor([[1.0, float("nan")], [1.0, 0.0]]), "not NaN"),
        (torch.tensor([0.5, 0.5]), r"must be \(B, 2\)"),
    ],
)
def test_soft_labels_that_are_none(labels, sentence):
    with pytest.raises(ValueError, match=sentence):
        WeightedCrossEntropy()(torch.zeros(2, 2), labels)


def test_arguments_out_of_range():
    with pytest.raises(ValueError, match="label_smoothing"):
        WeightedCrossEntropy(1.0)
    with pytest.raises(ValueError, match="class_weights"):
        WeightedCrossEntropy(0.0, torch.tensor([-1.0, 1.0]))
