"""Numbers as tables show them."""

import pytest

from sib.evaluation.tables import difference, interval
from sib.report.tables import wide_signed
from sib.utils.numbers import fixed, signed


@pytest.mark.parametrize(
    ("value", "digits", "plain", "with_sign"),
    [
        (-0.0004, 3, "0.000", "0.000"),
        (0.0004, 3, "0.000", "0.000"),
        (-0.0, 3, "0.000", "0.000"),
        (-0.0006, 3, "-0.001", "-0.001"),
        (0.0006, 3, "0.001", "+0.001"),
        (-0.004, 2, "0.00", "0.00"),
        (1.25, 1, "1.2", "+1.2"),
    ],
)
def test_what_rounds_to_zero_has_no_sign(value, digits, plain, with_sign):
    assert fixed(value, digits) == plain
    assert signed(value, digits) == with_sign


def test_numbers_that_are_not_finite_stay_readable():
    assert fixed(float("nan")) == "nan" and signed(float("inf")) == "+inf"


def test_tables_have_no_negative_zero():
    entry = {"mean": -1e-5, "low": -0.01, "high": 0.01}
    assert difference(entry, single_line=True) == "0.000 ±0.010"
    assert interval(entry, single_line=True) == "0.000 ±0.010"
    assert wide_signed(-1e-5) == "0.000" and wide_signed(-0.5) == "−0.500"
