"""Which epoch is the best so far, and how it is reported."""

import pytest

from sib.training.records import best_record, best_words, is_better
from sib.training.validation import Measurement


def measured(accuracy, loss):
    return Measurement(accuracy, loss, 0.5, 0.2, images=10, annotated=10)


@pytest.mark.parametrize(
    ("accuracy", "loss", "better", "words"),
    [
        (0.6, 2.0, True, "best so far"),
        (0.5, 0.9, True, "best so far: a tie, with the lower loss"),
        (0.5, 1.0, False, None),
        (0.4, 0.1, False, None),
    ],
)
def test_a_tie_in_accuracy_is_decided_by_the_loss_and_reported_as_one(
    accuracy, loss, better, words
):
    best, epoch = best_record(1, measured(0.5, 1.0)), measured(accuracy, loss)
    assert is_better(epoch, best) is better
    assert not better or best_words(epoch, best) == words


@pytest.mark.parametrize(
    ("best", "epoch", "better"),
    [
        ((float("nan"), 1.0), (float("nan"), 0.9), True),
        ((float("nan"), 0.9), (float("nan"), 1.0), False),
        ((float("nan"), 1.0), (0.1, 2.0), True),
        ((0.1, 2.0), (float("nan"), 1.0), False),
        ((0.5, float("nan")), (0.5, 1.0), True),
        ((0.5, 1.0), (0.5, float("nan")), False),
        ((0.5, float("inf")), (0.5, 1.0), True),
    ],
)
def test_nan_is_worse_than_any_number(best, epoch, better):
    """The mAP of a split without a label is NaN in every epoch, and the loss decides."""
    assert is_better(measured(*epoch), best_record(1, measured(*best))) is better


def test_the_first_epoch_is_no_tie():
    assert is_better(measured(0.5, 1.0), {})
    assert best_words(measured(0.5, 1.0), {}) == "best so far"
